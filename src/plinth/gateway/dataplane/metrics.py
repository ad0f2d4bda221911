"""Prometheus metrics of the data plane. Labels are bounded: only names that exist become labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from plinth.gateway.model import UsageRecord

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "plinth_requests", "Finished model calls", ["operation", "model", "status"], registry=registry
        )
        self._seconds = Histogram(
            "plinth_request_seconds",
            "From request to the end of the answer",
            ["operation", "model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._first_token = Histogram(
            "plinth_first_token_seconds",
            "From request to the first generated text",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._tokens = Counter("plinth_tokens", "Tokens by kind", ["model", "kind"], registry=registry)
        self.in_flight = Gauge("plinth_requests_in_flight", "Model calls being answered", registry=registry)
        self.proxied = Counter("plinth_proxied_requests", "Requests passed to the control plane", registry=registry)

    def finished(self, record: UsageRecord) -> None:
        model = record.model if record.model_id else ""
        self._requests.labels(record.operation, model, str(record.status)).inc()
        self._seconds.labels(record.operation, model).observe(record.total_ms / 1000)
        if record.first_token_ms is not None:
            self._first_token.labels(model).observe(record.first_token_ms / 1000)
        for kind, count in (
            ("prompt", record.prompt_tokens),
            ("cached", record.cached_tokens),
            ("completion", record.completion_tokens),
        ):
            if count:
                self._tokens.labels(model, kind).inc(count)

    def expose(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self._registry)
