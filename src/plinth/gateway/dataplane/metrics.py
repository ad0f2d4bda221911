"""What the data plane counts. Labels are bounded: only names that exist become labels, and after a
thousand of them the rest is counted under `other`.

A request only adds to plain numbers here (the client library's counters cost 2 us for each label
lookup); the text is made when somebody asks for it. One event loop owns an object.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from plinth.gateway.dataplane.exposition import Family, labels_of
from plinth.gateway.model import RecordKind, UsageRecord

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_BOUNDS = [*(str(bound) for bound in _SECONDS), "+Inf"]
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST_LABELS = 1000
_OTHER = "other"


class Histogram:
    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, int]]:
        total, result = 0, []
        for bound, count in zip(_BOUNDS, self.counts, strict=True):
            total += count
            result.append((bound, total))
        return result


@dataclass
class _Model:
    """What is counted for one public model name and operation, which are its `labels`."""

    labels: str
    seconds: Histogram = field(default_factory=Histogram)
    first_token: Histogram = field(default_factory=Histogram)
    statuses: dict[tuple[str, int], int] = field(default_factory=dict)
    prompt = cached = completion = 0


class Metrics:
    """Args: `worker` tells the gateway's processes apart."""

    def __init__(self, worker: str = "0") -> None:
        self.worker = worker
        self._models: dict[tuple[str, str], _Model] = {}
        self._targets: dict[str, Histogram] = {}
        self._errors: dict[str, int] = {}
        self._retries: dict[tuple[str, str], int] = {}
        self._findings: dict[str, int] = {}
        self._costs: dict[str, int] = {}
        self._started = time.time()
        self.in_flight = 0
        self.proxied = 0

    def finished(self, record: UsageRecord) -> None:
        key = (record.operation, record.model if record.model_id else "")
        model = self._models.get(key)
        if model is None:
            model = self._new_model(key)
        status = (record.kind, record.status)
        model.statuses[status] = model.statuses.get(status, 0) + 1
        model.prompt += record.prompt_tokens
        model.cached += record.cached_tokens
        model.completion += record.completion_tokens
        if record.cost_nanos:
            self._costs[record.currency] = self._costs.get(record.currency, 0) + record.cost_nanos
        first_ms = record.first_token_ms
        if first_ms is not None and record.dispatched_at is not None:
            self._target(record.target).observe(first_ms / 1000 - (record.dispatched_at - record.created_at))
        if record.kind == RecordKind.request:
            model.seconds.observe(record.total_ms / 1000)
            if first_ms is not None:
                model.first_token.observe(first_ms / 1000)
            if record.error_code:
                self.refused(record.error_code)

    def refused(self, error_code: str) -> None:
        """A model call ended with this error."""
        self._errors[error_code] = self._errors.get(error_code, 0) + 1

    def retried(self, target: str, error_code: str) -> None:
        """`target` did not answer, and another attempt is made."""
        key = (target if len(self._retries) < _MOST_LABELS else _OTHER, error_code)
        self._retries[key] = self._retries.get(key, 0) + 1

    def found(self, kinds: Mapping[str, int]) -> None:
        """The guard found personal data of these kinds, so many times."""
        for kind, count in kinds.items():
            self._findings[kind] = self._findings.get(kind, 0) + count

    def families(self) -> Iterator[Family]:
        yield from self._model_families()
        targets = Family("plinth_target_first_token_seconds", "histogram", "From dispatch to the target's first text")
        for target, histogram in list(self._targets.items()):
            own = labels_of({"target": target, "worker": self.worker})
            targets.add_histogram(own, histogram.buckets(), histogram.sum)
        yield targets
        yield self.family("plinth_errors", "counter", "Model calls that ended in an error", "code", self._errors)
        retries = Family("plinth_retries", "counter", "Attempts that were followed by another one")
        for (target, code), count in self._retries.items():
            retries.add(labels_of({"target": target, "code": code, "worker": self.worker}), count)
        yield retries
        text = "Personal data that the guard found on its way out, by kind"
        yield self.family("plinth_guard_findings", "counter", text, "kind", self._findings)
        text = "Price of providers' work in 1e-9 of the currency's unit (own engines are settled by the hour)"
        yield self.family("plinth_cost_nanos", "counter", text, "currency", self._costs)
        yield self.single("plinth_requests_in_flight", "gauge", "Model calls being answered", self.in_flight)
        text = "Resident memory of this process"
        yield self.single("plinth_gateway_memory_bytes", "gauge", text, _resident_bytes())
        text = "When this process began (unix seconds)"
        yield self.single("plinth_gateway_started_seconds", "gauge", text, self._started)
        yield self.single("plinth_proxied_requests", "counter", "Passed to the control plane", self.proxied)

    def family(self, name: str, kind: str, text: str, label: str, values: Mapping[str, float]) -> Family:
        """A family with one label beside `worker`."""
        family = Family(name, kind, text)
        for value, number in values.items():
            family.add(labels_of({label: value, "worker": self.worker}), number)
        return family

    def single(self, name: str, kind: str, text: str, value: float) -> Family:
        family = Family(name, kind, text)
        family.add(labels_of({"worker": self.worker}), value)
        return family

    def _model_families(self) -> Iterator[Family]:
        """One loop for each family: nobody is answered while one is made."""
        models, worker = list(self._models.values()), labels_of({"worker": self.worker})
        requests = Family("plinth_requests", "counter", "Model calls by kind and status")
        for model in models:
            for (kind, status), count in model.statuses.items():
                requests.add(f'kind="{kind}",{model.labels},status="{status}",{worker}', count)
        yield requests
        seconds = Family("plinth_request_seconds", "histogram", "From request to the end of the answer")
        for model in models:
            seconds.add_histogram(f"{model.labels},{worker}", model.seconds.buckets(), model.seconds.sum)
        yield seconds
        first = Family("plinth_first_token_seconds", "histogram", "From request to the first text")
        for model in models:
            first.add_histogram(f"{model.labels},{worker}", model.first_token.buckets(), model.first_token.sum)
        yield first
        tokens = Family("plinth_tokens", "counter", "Tokens by kind")
        for model in models:
            for kind in ("prompt", "cached", "completion"):
                tokens.add(f'kind="{kind}",{model.labels},{worker}', getattr(model, kind))
        yield tokens

    def _new_model(self, key: tuple[str, str]) -> _Model:
        if len(self._models) >= _MOST_LABELS:
            key = (key[0], _OTHER)
        operation, name = key
        return self._models.setdefault(key, _Model(labels_of({"model": name, "operation": operation})))

    def _target(self, target: str) -> Histogram:
        found = self._targets.get(target)
        if found is None:
            name = target if len(self._targets) < _MOST_LABELS else _OTHER
            found = self._targets.setdefault(name, Histogram())
        return found


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 (no path object for a kernel file)
        return int(file.read().split()[1]) * _PAGE
