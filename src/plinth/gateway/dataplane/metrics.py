"""Prometheus metrics of the data plane. Labels are bounded: only names that exist become labels.

The client library's counters cost 2 us for each label lookup, so a request only adds to plain
numbers here, and the exposition is made when somebody asks for it. One event loop owns an object.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from plinth.gateway.model import RecordKind, UsageRecord

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_BOUNDS = [*(str(bound) for bound in _SECONDS), "+Inf"]
_PAGE = os.sysconf("SC_PAGE_SIZE")


class _Histogram:
    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        total, result = 0, []
        for bound, count in zip(_BOUNDS, self.counts, strict=True):
            total += count
            result.append((bound, float(total)))
        return result


@dataclass
class _Model:
    """What is counted for one public model name and operation."""

    seconds: _Histogram = field(default_factory=_Histogram)
    first_token: _Histogram = field(default_factory=_Histogram)
    statuses: dict[tuple[str, int], int] = field(default_factory=dict)
    prompt = cached = completion = 0


class Metrics(Collector):
    """Args: `worker` tells the gateway's processes apart."""

    def __init__(self, worker: str = "0") -> None:
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._worker = worker
        self._models: dict[tuple[str, str], _Model] = {}
        self._started = time.time()
        self.in_flight = 0
        self.proxied = 0

    def finished(self, record: UsageRecord) -> None:
        key = (record.operation, record.model if record.model_id else "")
        model = self._models.get(key)
        if model is None:
            model = self._models[key] = _Model()
        status = (record.kind, record.status)
        model.statuses[status] = model.statuses.get(status, 0) + 1
        model.prompt += record.prompt_tokens
        model.cached += record.cached_tokens
        model.completion += record.completion_tokens
        if record.kind == RecordKind.request:
            model.seconds.observe(record.total_ms / 1000)
            if record.first_token_ms is not None:
                model.first_token.observe(record.first_token_ms / 1000)

    def expose(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        labels = ["operation", "model", "worker"]
        requests = CounterMetricFamily(
            "plinth_requests", "Model calls by kind and status", None, [*labels, "kind", "status"]
        )
        seconds = HistogramMetricFamily(
            "plinth_request_seconds", "From request to the end of the answer", labels=labels
        )
        first = HistogramMetricFamily("plinth_first_token_seconds", "From request to the first text", labels=labels)
        tokens = CounterMetricFamily("plinth_tokens", "Tokens by kind", None, [*labels, "kind"])
        for (operation, name), model in self._models.items():
            own = [operation, name, self._worker]
            for (kind, status), count in model.statuses.items():
                requests.add_metric([*own, kind, str(status)], count)
            seconds.add_metric(own, model.seconds.buckets(), model.seconds.sum)
            first.add_metric(own, model.first_token.buckets(), model.first_token.sum)
            for kind in ("prompt", "cached", "completion"):
                tokens.add_metric([*own, kind], getattr(model, kind))
        yield from (requests, seconds, first, tokens)
        for metric, text, value in (
            ("plinth_requests_in_flight", "Model calls being answered", self.in_flight),
            ("plinth_gateway_memory_bytes", "Resident memory of this process", _resident_bytes()),
            ("plinth_gateway_started_seconds", "When this process began (unix seconds)", self._started),
        ):
            gauge = GaugeMetricFamily(metric, text, labels=["worker"])
            gauge.add_metric([self._worker], value)
            yield gauge
        proxied = CounterMetricFamily("plinth_proxied_requests", "Passed to the control plane", None, ["worker"])
        proxied.add_metric([self._worker], self.proxied)
        yield proxied


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 (no path object for a kernel file)
        return int(file.read().split()[1]) * _PAGE
