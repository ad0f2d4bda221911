"""Makes engine processes match what is wanted, after any crash of anything.

One reconciler works at a time (an exclusive `flock`; engines watch the same file and end when
nobody holds it for a minute). What it knows is in the database, so `kill -9` between any two lines
leaves a state that the next `run_once` goes on from:

    no process -> starting -> active -> draining -> stopped
                     |           |
                     +-----------+--> stopped (died: counted, retried, in the end given up)

A changed wish starts a successor beside the active process; in one transaction the successor
becomes active and the old one draining, and only then the old one is stopped. A successor that
fails never harms the one that serves.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from plinth.catalog import BaseModel
from plinth.kit import events
from plinth.kit.blobs import Blobs
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.errors import PlinthError
from plinth.kit.secrets import InstanceKey
from plinth.serving import store
from plinth.serving.files import prepare
from plinth.serving.model import (
    Deployment,
    DeploymentStatus,
    EngineHandle,
    EngineProcess,
    EngineSpec,
    Failures,
    GroupWish,
    Health,
    HealthState,
    ProcessState,
)
from plinth.serving.ports import Catalog, Engine
from plinth.serving.service import KEY_PURPOSE, ServingService, Wishes

if TYPE_CHECKING:  # pydantic is not needed by those who only import the slice
    from plinth.serving.settings import ServingSettings

log = logging.getLogger(__name__)

LOCK_RETRY_SECONDS = 0.2


class Parts:
    """What the reconciler works with: `catalog` and `blobs` give files, `engines` run them."""

    def __init__(self, catalog: Catalog, blobs: Blobs, engines: Sequence[Engine], key: InstanceKey) -> None:
        self.catalog, self.blobs, self.key = catalog, blobs, key
        self.engines: Mapping[str, Engine] = {engine.kind: engine for engine in engines}


class Reconciler:
    """Args: `lock_file` is held for as long as this reconciler works."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        service: ServingService,
        parts: Parts,
        lock_file: Path,
        settings: ServingSettings,
    ) -> None:
        self._db, self._clock, self._service, self._parts = db, clock, service, parts
        self._lock_file, self._settings = lock_file, settings
        self._lock: int | None = None
        self._files = ThreadPoolExecutor(max_workers=2, thread_name_prefix="engine-files")
        self._preparing: dict[str, tuple[str, Future[EngineSpec]]] = {}
        self._wishes: tuple[int, Wishes] | None = None
        self._probed: dict[str, float] = {}
        self._degraded: dict[str, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`; engines are left running for the next reconciler."""
        while not stop.is_set() and not self.acquire():
            stop.wait(LOCK_RETRY_SECONDS)
        while not stop.is_set():
            try:
                self.run_once()
            except Exception:  # the loop must outlive a database outage or a bad row; it tries again
                log.exception("reconciling engines failed; trying again")
                stop.wait(1.0)
            stop.wait(self._settings.poll_seconds)
        self.close()

    def acquire(self) -> bool:
        """Take the lock; False while another reconciler (or, for an instant, an engine) has it."""
        if self._lock is not None:
            return True
        descriptor = os.open(self._lock_file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def close(self) -> None:
        """Let go of the lock and of unfinished preparations."""
        self._files.shutdown(wait=False, cancel_futures=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def stop_engines(self) -> None:
        """End every engine at once (the platform is going down on purpose)."""
        with self._db.read() as session:
            found = store.open_processes(session)
        for process in found:
            self._end(process, "The platform was stopped.")

    def run_once(self) -> None:
        """One comparison of wanted and actual. Requires the lock."""
        if not self.acquire():
            return
        with self._db.read() as session:
            wishes = self._current_wishes(session)
            members = _by_group(store.all_deployments(session))
            found: dict[str, list[EngineProcess]] = {}
            for process in store.open_processes(session):
                found.setdefault(process.group, []).append(process)
        if wishes.hopeless:
            with self._db.write() as session:
                for deployment, reason in wishes.hopeless:
                    self._service.set_status(session, deployment, DeploymentStatus.failed, reason)
        for name in sorted(wishes.groups.keys() | found.keys() | members.keys()):
            group = _Group(
                name, wishes.groups.get(name), wishes.bases.get(name), members.get(name, []), found.get(name, [])
            )
            self._reconcile(group)

    def _current_wishes(self, session: Session) -> Wishes:
        """What is wanted changes only with a fact, so without a new fact the last answer holds."""
        position = events.latest_seq(session)
        if self._wishes is None or self._wishes[0] != position:
            self._wishes = (position, self._service.wishes(session))
        return self._wishes[1]

    # one group

    def _reconcile(self, group: _Group) -> None:
        for process in group.of(ProcessState.draining):
            self._drain(process)
        active = group.one(ProcessState.active)
        if active is not None and not self._still_serves(group, active):
            active = None
        green = group.one(ProcessState.starting)
        if group.wish is None:
            self._wind_down(group, active, green)
        elif green is not None:
            self._watch_start(group, group.wish, green, active)
        elif active is not None and active.wish_hash == group.wish.hash:
            self._settle(group, active)
        else:
            self._begin(group, group.wish, active)

    def _wind_down(self, group: _Group, active: EngineProcess | None, green: EngineProcess | None) -> None:
        if green is not None:
            self._end(green, "It is not wanted any more.")
        leaving = [d for d in group.members if d.status is DeploymentStatus.stopping]
        if active is None and not leaving:
            return
        with self._db.write() as session:
            if active is not None:
                self._set_state(session, active, ProcessState.draining)
                self._service.endpoints_changed(session, group.name)
            for deployment in leaving:
                self._service.set_status(session, deployment, DeploymentStatus.stopped)

    def _still_serves(self, group: _Group, active: EngineProcess) -> bool:
        now = self._clock.monotonic()
        if now - self._probed.get(active.id, float("-inf")) < self._settings.health_seconds:
            return True
        self._probed[active.id] = now
        health = self._engine(active).probe(self._handle(active))
        if health.state is HealthState.ready:
            self._degraded.pop(active.id, None)
            return True
        since = self._degraded.setdefault(active.id, now)
        if health.state is not HealthState.dead and now - since < self._settings.degraded_timeout_seconds:
            return True
        reason = health.reason or "The engine does not answer any more."
        log.error("an engine is gone", extra={"group": group.name, "engine": active.id, "reason": reason})
        self._end(active, reason)
        self._failed(group, active.wish_hash, None, replace(health, reason=reason))
        return False

    def _watch_start(self, group: _Group, wish: GroupWish, green: EngineProcess, active: EngineProcess | None) -> None:
        if green.pid is None or green.wish_hash != wish.hash:
            # no pid: our predecessor died between storing the row and the process, which then ended itself
            self._end(green, "Something else is wanted by now.")
            return
        health = self._engine(green).probe(self._handle(green))
        if health.state is HealthState.ready:
            self._switch(group, green, active)
            return
        waited = self._clock.unix() - green.state_since
        if health.state is not HealthState.dead:
            if waited < self._settings.ready_timeout_seconds:
                return
            health = Health(HealthState.dead, f"The engine was not ready after {waited:.0f} seconds.")
        self._end(green, health.reason)
        self._failed(group, wish.hash, active, health)

    def _switch(self, group: _Group, green: EngineProcess, active: EngineProcess | None) -> None:
        with self._db.write() as session:
            self._set_state(session, green, ProcessState.active)
            if active is not None:
                self._set_state(session, active, ProcessState.draining)
            known = store.failures(session, group.name) or Failures(green.wish_hash)
            store.put_failures(session, group.name, replace(known, proven=green.adapters))
            self._mark_served(session, group, green)
            self._service.endpoints_changed(session, group.name)
        log.info("an engine took over", extra={"group": group.name, "engine": green.id})

    def _settle(self, group: _Group, active: EngineProcess) -> None:
        """Nothing to start: what changed needs no other process."""
        waiting = (DeploymentStatus.starting, DeploymentStatus.stopping)
        if any(d.status in waiting for d in group.members):
            with self._db.write() as session:
                self._mark_served(session, group, active)
                self._service.endpoints_changed(session, group.name)

    def _mark_served(self, session: Session, group: _Group, process: EngineProcess) -> None:
        for deployment in group.members:
            if deployment.status is DeploymentStatus.stopping:
                self._service.set_status(session, deployment, DeploymentStatus.stopped)
            elif deployment.status.wanted and group.holds(process, deployment):
                self._service.set_status(session, deployment, DeploymentStatus.ready)

    # starting

    def _begin(self, group: _Group, wish: GroupWish, active: EngineProcess | None) -> None:
        with self._db.read() as session:
            known = store.failures(session, group.name)
        if known and known.wish_hash == wish.hash and self._clock.unix() < self._retry_at(known):
            return
        engine = self._parts.engines.get(wish.engine)
        if engine is None:
            reason = f"There is no engine '{wish.engine}' on this machine."
            self._failed(group, wish.hash, active, Health(HealthState.dead, reason, permanent=True))
            return
        try:
            spec = self._prepared(group, wish)
            if spec is not None:
                self._start(group, wish, engine, spec)
        except PlinthError as error:
            self._failed(group, wish.hash, active, Health(HealthState.dead, error.message))
        except OSError as error:
            self._failed(group, wish.hash, active, Health(HealthState.dead, f"A file cannot be read: {error}"))

    def _retry_at(self, known: Failures) -> float:
        if len(known.times) >= self._settings.restart_limit:
            return known.times[-1] + self._settings.restart_window_seconds
        return known.retry_at()

    def _prepared(self, group: _Group, wish: GroupWish) -> EngineSpec | None:
        """The engine's files, once they are there. Fetching them may take minutes, so it happens in
        a thread of its own."""
        assert group.base is not None
        job = self._preparing.get(group.name)
        if job is None or job[0] != wish.hash:
            parts = self._parts
            future = self._files.submit(prepare, parts.catalog, parts.blobs, wish, group.base)
            job = self._preparing[group.name] = (wish.hash, future)
        if not job[1].done():
            return None
        del self._preparing[group.name]
        return job[1].result()

    def _start(self, group: _Group, wish: GroupWish, engine: Engine, spec: EngineSpec) -> None:
        id, key = secrets.token_hex(6), secrets.token_urlsafe(32)
        with self._db.write() as session:
            process = EngineProcess(
                id=id,
                group=group.name,
                generation=store.next_generation(session, group.name),
                wish_hash=wish.hash,
                engine=wish.engine,
                pid=None,
                started=None,
                socket_path=str(engine.socket_path(id)),
                key=self._parts.key.encrypt(key, KEY_PURPOSE),
                state=ProcessState.starting,
                adapters=tuple(a.name for a in spec.adapters),
                capabilities=engine.capabilities(spec),
                context_tokens=spec.context_tokens,
                state_since=self._clock.unix(),
            )
            store.insert_process(session, process)

        def record(handle: EngineHandle) -> None:
            with self._db.write() as session:
                store.update_process(session, id, pid=handle.pid, started=handle.started)

        try:
            engine.start(id, spec, key, record)
        except PlinthError as error:
            self._end(process, error.message)
            raise
        log.info("an engine was started", extra={"group": group.name, "engine": id})

    # ending and failing

    def _drain(self, process: EngineProcess) -> None:
        elapsed = self._clock.unix() - process.state_since
        if elapsed < self._settings.switch_seconds:
            return
        engine, handle = self._engine(process), self._handle(process)
        timed_out = elapsed >= self._settings.switch_seconds + self._settings.drain_seconds
        # an engine that cannot say how much it does is given the whole time
        if timed_out or engine.probe(handle).state is HealthState.dead or engine.running(handle) == 0:
            self._end(process, None)

    def _end(self, process: EngineProcess, reason: str | None) -> None:
        """Stop a process, then say so: dying in between repeats the stop, which is harmless."""
        if process.pid is not None and process.engine in self._parts.engines:
            self._engine(process).stop(self._handle(process))
        with self._db.write() as session:
            self._set_state(session, process, ProcessState.stopped, reason)
            if process.state is ProcessState.active:
                self._service.endpoints_changed(session, process.group)
        self._probed.pop(process.id, None)
        self._degraded.pop(process.id, None)

    def _failed(self, group: _Group, wish_hash: str, active: EngineProcess | None, health: Health) -> None:
        """Count a failure; give up on whom it concerns when trying again cannot help."""
        reason, now = health.reason or "The engine process ended.", self._clock.unix()
        with self._db.write() as session:
            known = store.failures(session, group.name) or Failures(wish_hash)
            recent = now - self._settings.restart_window_seconds
            times = [t for t in known.times if t > recent] if known.wish_hash == wish_hash else []
            failures = Failures(wish_hash, (*times, now), reason, known.proven)
            store.put_failures(session, group.name, failures)
            given_up = health.permanent or len(failures.times) >= self._settings.restart_limit
            blamed = _blamed(group, active, failures, health) if given_up else []
            for deployment in group.members:
                if not deployment.status.wanted:
                    continue
                if deployment in blamed:
                    self._service.set_status(session, deployment, DeploymentStatus.failed, reason)
                elif active is None or not group.holds(active, deployment):
                    self._service.set_status(session, deployment, DeploymentStatus.starting, reason)
            self._service.endpoints_changed(session, group.name)
        log.error("an engine failed", extra={"group": group.name, "reason": reason, "given_up": given_up})

    # helpers

    def _engine(self, process: EngineProcess) -> Engine:
        return self._parts.engines[process.engine]

    def _handle(self, process: EngineProcess) -> EngineHandle:
        assert process.pid is not None
        assert process.started is not None
        key = self._parts.key.decrypt(process.key, KEY_PURPOSE)
        return EngineHandle(process.id, process.pid, process.started, process.socket_path, key)

    def _set_state(
        self, session: Session, process: EngineProcess, state: ProcessState, reason: str | None = None
    ) -> None:
        store.update_process(session, process.id, state=state, state_since=self._clock.unix(), reason=reason)


class _Group:
    """Everything about one group at one moment."""

    def __init__(
        self,
        name: str,
        wish: GroupWish | None,
        base: BaseModel | None,
        members: Sequence[Deployment],
        processes: Sequence[EngineProcess],
    ) -> None:
        self.name, self.wish, self.base = name, wish, base
        self.members, self._processes = members, processes

    def of(self, state: ProcessState) -> list[EngineProcess]:
        return [process for process in self._processes if process.state is state]

    def one(self, state: ProcessState) -> EngineProcess | None:
        return next(iter(self.of(state)), None)

    def adapter(self, deployment: Deployment) -> str | None:
        """The deployment's adapter in this group's engine; None: it needs none."""
        return None if deployment.model_id in (deployment.base_id, self.name) else deployment.model_id

    def holds(self, process: EngineProcess, deployment: Deployment) -> bool:
        adapter = self.adapter(deployment)
        return adapter is None or adapter in process.adapters


def _blamed(group: _Group, active: EngineProcess | None, failures: Failures, health: Health) -> list[Deployment]:
    """Who fails for good. An engine names the adapter when it can. Otherwise, if the group has run
    before, the newest adapter that was not part of it; if nothing is new, everything unserved."""
    wanted = [d for d in group.members if d.status.wanted]
    unserved = [d for d in wanted if active is None or not group.holds(active, d)]
    if health.adapter is not None:
        return [d for d in wanted if d.model_id == health.adapter]
    unproven = [d for d in unserved if (a := group.adapter(d)) is not None and a not in failures.proven]
    proven = [d for d in unserved if d not in unproven]
    if unproven and (active is not None or (proven and failures.proven)) and not health.permanent:
        newest = unproven[-1].model_id
        return [d for d in unproven if d.model_id == newest]
    return unserved


def _by_group(deployments: Sequence[Deployment]) -> dict[str, list[Deployment]]:
    groups: dict[str, list[Deployment]] = {}
    for deployment in deployments:
        groups.setdefault(deployment.group, []).append(deployment)
    return groups
