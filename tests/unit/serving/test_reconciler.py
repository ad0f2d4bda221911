"""The reconciler on an engine twin: starting, switching, draining, failing, and dying at any line."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from plinth.kit.errors import Unavailable
from plinth.registry import ArtefactKind
from plinth.serving import EngineFailed, Health, HealthState
from plinth.serving.model import DeploymentStatus, ProcessState

DEAD = Health(HealthState.dead, "it broke")
DAMAGED = Health(HealthState.dead, "the file is damaged", permanent=True)


def test_a_deployment_becomes_ready_and_is_announced(world: Any) -> None:
    deployment = world.deploy()
    assert deployment.status is DeploymentStatus.starting
    assert world.endpoint("smol").state == "starting"
    world.settle()
    assert world.get(deployment).status is DeploymentStatus.ready
    endpoint = world.endpoint("smol")
    process = world.engine.processes[world.engine.started[0]]
    assert (endpoint.state, endpoint.socket_path) == ("ready", world.processes()[0].socket_path)
    assert endpoint.key
    assert endpoint.key not in repr(endpoint)
    assert process.spec.context_tokens == world.settings.context_tokens
    [ready] = world.events("serving.deployment.ready")
    assert ready.payload["model_id"] == "smol"
    assert ready.project_id == "proj_a"
    world.tick(3)
    assert len(world.engine.started) == 1


def test_one_process_serves_all_versions_of_a_base_for_all_projects(world: Any) -> None:
    first, second = world.version(), world.version(project_id="proj_b")
    world.deploy("smol")
    world.deploy(first)
    world.deploy(second, "proj_b")
    world.settle()
    assert len(world.processes()) == 1
    a, b = world.endpoint(first), world.endpoint(second)
    assert a.socket_path == b.socket_path == world.endpoint("smol").socket_path
    assert (a.adapter, b.adapter, world.endpoint("smol").adapter) == (first, second, None)
    assert set(a.adapters) == {first, second}


def test_a_new_version_switches_to_a_successor_and_the_old_one_is_drained(world: Any) -> None:
    world.deploy()
    world.settle()
    [old] = world.processes()
    version = world.version()
    world.engine.slow = True
    world.deploy(version)
    world.tick(3)
    assert world.endpoint("smol").socket_path == old.socket_path
    assert world.endpoint(version).state == "starting"
    world.engine.processes[old.id].running = 2
    world.engine.finish(world.engine.started[-1])
    world.tick()
    [new] = world.processes(ProcessState.active)
    assert world.endpoint("smol").socket_path == world.endpoint(version).socket_path == new.socket_path
    assert [p.id for p in world.processes(ProcessState.draining)] == [old.id]
    world.tick(2, seconds=5)
    assert old.id in world.engine.processes
    world.engine.processes[old.id].running = 0
    world.tick()
    assert set(world.engine.processes) == {new.id}
    assert len(world.processes()) == 1


def test_a_replaced_engine_is_left_alone_until_gateways_had_time_to_notice(world: Any) -> None:
    world.deploy()
    world.settle()
    [old] = world.processes()
    world.deploy(world.version())
    world.settle()
    world.tick(seconds=world.settings.switch_seconds - 0.1)
    assert old.id in world.engine.processes
    world.tick(seconds=0.2)
    assert old.id not in world.engine.processes


def test_draining_ends_even_if_a_request_never_does(world: Any) -> None:
    world.deploy()
    world.settle()
    [old] = world.processes()
    world.engine.processes[old.id].running = 1
    world.deploy(world.version())
    world.settle()
    world.tick(seconds=world.settings.switch_seconds + world.settings.drain_seconds + 1)
    assert old.id not in world.engine.processes


def test_never_two_successors(world: Any) -> None:
    world.deploy()
    world.settle()
    world.engine.slow = True
    for _ in range(3):
        world.deploy(world.version())
        world.tick(3)
        assert len(world.processes(ProcessState.starting)) <= 1
    world.engine.finish(world.engine.started[-1])
    world.tick()
    [active] = world.processes(ProcessState.active)
    assert len(active.adapters) == 3
    assert len(world.engine.processes) == 2


def test_a_killed_engine_is_replaced_at_once(world: Any) -> None:
    deployment = world.deploy()
    world.settle()
    [old] = world.processes()
    world.engine.kill(old.id)
    world.tick()
    assert world.endpoint("smol").state == "starting"
    world.settle()
    [new] = world.processes()
    assert new.id != old.id
    assert world.get(deployment).status is DeploymentStatus.ready


def test_an_engine_that_keeps_dying_is_given_up_until_asked_again(world: Any) -> None:
    deployment = world.deploy()
    world.engine.fail_next = [DEAD] * 20
    world.tick(200, seconds=0.5)
    assert len(world.engine.started) == world.settings.restart_limit
    failed = world.get(deployment)
    assert (failed.status, failed.reason) == (DeploymentStatus.failed, "it broke")
    assert world.endpoint("smol").state == "failed"
    assert world.endpoint("smol").reason == "it broke"
    assert len(world.events("serving.deployment.failed")) == 1
    world.engine.fail_next = []
    world.deploy()
    world.settle()
    assert world.get(deployment).status is DeploymentStatus.ready


def test_restarts_are_spaced_out(world: Any) -> None:
    world.deploy()
    world.engine.fail_next = [DEAD] * 20
    world.tick(30)
    assert len(world.engine.started) == 2
    world.tick(3, seconds=1)
    assert len(world.engine.started) == 3


def test_damage_is_not_retried(world: Any) -> None:
    deployment = world.deploy()
    world.engine.fail_next = [DAMAGED] * 5
    world.tick(20, seconds=1)
    assert len(world.engine.started) == 1
    assert world.get(deployment).reason == "the file is damaged"


def test_a_bad_adapter_fails_alone_and_never_stops_the_others(world: Any) -> None:
    good, bad, later = world.version(), world.version(), world.version()
    fine = world.deploy(good)
    world.settle()
    [serving] = world.processes()
    broken = world.deploy(bad)
    world.engine.fail_next = [dataclasses.replace(DAMAGED, adapter=bad)]
    world.tick(3)
    assert world.get(broken).status is DeploymentStatus.failed
    assert world.get(fine).status is DeploymentStatus.ready
    assert world.endpoint(good).socket_path == serving.socket_path
    world.deploy(later)
    world.settle()
    assert world.endpoint(later).state == "ready"
    assert bad not in world.endpoint(later).adapters


def test_a_crash_that_names_nobody_is_blamed_on_the_newest_adapter(world: Any) -> None:
    good, bad = world.version(), world.version()
    world.deploy(good)
    world.settle()
    broken = world.deploy(bad)
    world.engine.fail_next = [DEAD] * world.settings.restart_limit
    world.tick(60, seconds=1)
    assert world.get(broken).status is DeploymentStatus.failed
    assert world.endpoint(good).state == "ready"


def test_a_base_that_is_damaged_later_does_not_stop_what_serves(world: Any) -> None:
    fine = world.deploy()
    world.settle()
    new = world.deploy(world.version())
    world.engine.fail_next = [DAMAGED]
    world.tick(10, seconds=1)
    assert world.get(new).status is DeploymentStatus.failed
    assert world.get(fine).status is DeploymentStatus.ready
    assert world.endpoint("smol").state == "ready"


def test_an_engine_that_never_gets_ready_fails(world: Any) -> None:
    deployment = world.deploy()
    world.engine.slow = True
    world.tick(3)
    world.tick(seconds=world.settings.ready_timeout_seconds + 1)
    assert "not ready" in str(world.get(deployment).reason)
    assert len(world.engine.processes) == 0


def test_an_engine_that_stops_answering_is_replaced_after_a_while(world: Any) -> None:
    world.deploy()
    world.settle()
    [old] = world.processes()
    world.engine.processes[old.id].health = Health(HealthState.degraded, "no answer")
    world.tick(2, seconds=world.settings.degraded_timeout_seconds / 3)
    assert old.id in world.engine.processes
    world.tick(2, seconds=world.settings.degraded_timeout_seconds)
    assert old.id not in world.engine.processes


def test_stopping_the_last_deployment_stops_the_engine(world: Any) -> None:
    deployment = world.deploy()
    world.settle()
    world.stop(deployment)
    assert world.get(deployment).status is DeploymentStatus.stopping
    assert world.endpoint("smol").state == "failed"
    world.tick()
    assert world.get(deployment).status is DeploymentStatus.stopped
    world.tick(2, seconds=3)
    assert world.engine.processes == {}
    assert [e.payload["model_id"] for e in world.events("serving.deployment.stopped")] == ["smol"]


def test_stopping_one_version_keeps_the_others(world: Any) -> None:
    first, second = world.version(), world.version()
    gone, _ = world.deploy(first), world.deploy(second)
    world.settle()
    world.stop(gone)
    world.settle()
    assert world.get(gone).status is DeploymentStatus.stopped
    assert world.endpoint(second).state == "ready"
    assert world.endpoint(second).adapters == (second,)


def test_merged_weights_get_a_process_of_their_own(world: Any) -> None:
    version = world.version(ArtefactKind.merged_gguf)
    world.deploy()
    world.deploy(version)
    world.settle()
    merged = world.endpoint(version)
    assert merged.state == "ready"
    assert merged.adapter is None
    assert merged.socket_path != world.endpoint("smol").socket_path


def test_files_that_cannot_be_had_are_a_readable_failure(world: Any) -> None:
    world.catalog.broken = Unavailable(reason="The weights are not installed.")
    deployment = world.deploy()
    world.tick(100, seconds=1)
    assert world.get(deployment).status is DeploymentStatus.failed
    assert world.get(deployment).reason == "The weights are not installed."
    assert world.engine.started == []


def test_a_base_that_left_the_catalogue_fails_its_deployments(world: Any) -> None:
    deployment = world.deploy()
    world.settle()
    world.remove_base("smol")
    world.tick(2)
    assert world.get(deployment).status is DeploymentStatus.failed
    world.tick(2, seconds=3)
    assert world.engine.processes == {}


def test_another_reconciler_waits_for_the_lock(world: Any) -> None:
    world.tick()
    other = world.new_reconciler()
    assert other.acquire() is False
    world.reconciler.close()
    assert other.acquire() is True
    other.close()


def test_a_new_reconciler_adopts_what_runs(world: Any) -> None:
    world.deploy()
    world.settle()
    world.reconciler.close()
    world.reconciler = world.new_reconciler()
    world.settle()
    assert len(world.engine.started) == 1
    assert world.endpoint("smol").state == "ready"


class _Killed(BaseException):
    """Stands for `kill -9` of the reconciler: no handler of ours may catch it."""


@pytest.mark.parametrize("moment", ["before the process", "after the process", "before the switch", "before the stop"])
def test_the_reconciler_may_die_anywhere(world: Any, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    world.deploy()
    world.settle()
    version = world.version()
    world.deploy(version)
    target = {
        "before the process": (world.engine, "start"),
        "before the switch": (world.reconciler, "_switch"),
        "before the stop": (world.engine, "stop"),
        "after the process": (world.engine, "start"),
    }[moment]

    start = world.engine.start

    def die(*arguments: Any) -> None:
        if moment == "after the process":
            start(*arguments)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(*target, die)
        with pytest.raises(_Killed):
            world.tick(20, seconds=1)
    world.reconciler.close()
    world.reconciler = world.new_reconciler()
    world.tick(20, seconds=1)
    assert world.endpoint(version).state == world.endpoint("smol").state == "ready"
    assert len(world.processes()) == len(world.engine.processes) == 1


def test_an_engine_that_cannot_be_made_leaves_no_open_row(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = world.deploy()

    def refuse(*_: Any) -> None:
        raise EngineFailed(reason="no memory")

    monkeypatch.setattr(world.engine, "start", refuse)
    world.tick(60, seconds=1)
    assert world.processes() == []
    assert "no memory" in str(world.get(deployment).reason)


def test_stopping_the_platform_ends_every_engine(world: Any) -> None:
    world.deploy()
    world.settle()
    world.reconciler.stop_engines()
    assert world.engine.processes == {}
    assert world.processes() == []


def test_keys_are_never_stored_in_the_clear(world: Any) -> None:
    world.deploy()
    world.settle()
    key = world.endpoint("smol").key
    with world.db.read() as session:
        stored = session.execute(text("SELECT key FROM engine_processes")).scalar_one()
    assert key not in stored
    assert not any(key in p.read_text(errors="replace") for p in Path(world.folder).glob("*.json"))
