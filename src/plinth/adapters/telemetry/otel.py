"""Spans to an OpenTelemetry collector over OTLP/HTTP. Needs the extra `otel`.

The SDK's batching and export run in a thread of their own; a collector that is away costs spans and
nothing else. What the SDK reads from the environment holds here too: `OTEL_EXPORTER_OTLP_HEADERS`
(the collector's key), `OTEL_EXPORTER_OTLP_CERTIFICATE`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_…`.
"""

from __future__ import annotations

import threading
from typing import Any

from plinth import __version__
from plinth.gateway.dataplane.spans import Span
from plinth.kit.errors import MissingExtra

_EXPORT_SECONDS = 5.0
_STOP_SECONDS = 5.0


class OtlpSpans:
    """Args: `endpoint` is the full URL, as `http://127.0.0.1:4318/v1/traces`; `worker` tells the gateway's
    processes apart. Raises `MissingExtra`."""

    def __init__(self, endpoint: str, worker: str = "0") -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import ReadableSpan
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
            from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
            from opentelemetry.trace.status import Status, StatusCode
        except ImportError as error:
            raise MissingExtra(extra="otel") from error
        self._processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_SECONDS))
        self._resource = Resource.create(
            {"service.name": "plinth-gateway", "service.version": __version__, "service.instance.id": worker}
        )
        self._scope = InstrumentationScope("plinth.gateway", __version__)
        self._span, self._context = ReadableSpan, SpanContext
        self._flags = TraceFlags(TraceFlags.SAMPLED)
        self._kinds = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT}
        self._statuses = {False: Status(StatusCode.UNSET), True: Status(StatusCode.ERROR)}

    def add(self, span: Span) -> None:
        """Made directly, and not through the SDK's tracer: our spans have their ids and times already."""
        self._processor.on_end(
            self._span(
                name=span.name,
                context=self._context_of(span.trace_id, span.span_id, remote=False),
                parent=self._context_of(span.trace_id, span.parent_id, remote=True) if span.parent_id else None,
                resource=self._resource,
                attributes=span.attributes,
                kind=self._kinds[span.kind],
                status=self._statuses[span.failed],
                start_time=int(span.started_at * 1e9),
                end_time=int(span.ended_at * 1e9),
                instrumentation_scope=self._scope,
            )
        )

    def stop(self) -> None:
        """Send what waits. The SDK itself would wait for a collector that is away for half a minute."""
        thread = threading.Thread(target=self._processor.shutdown, name="otel-shutdown", daemon=True)
        thread.start()
        thread.join(_STOP_SECONDS)

    def _context_of(self, trace_id: int, span_id: int, remote: bool) -> Any:
        return self._context(trace_id, span_id, remote, self._flags)
