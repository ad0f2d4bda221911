"""Settings of the public port and the data plane behind it."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section


class GatewaySettings(Section):
    host: str = "127.0.0.1"
    """Address to listen on. Use 0.0.0.0 to answer other machines."""

    port: int = Field(default=8400, ge=0, le=65535)
    """Public TCP port; 0 lets the system choose one."""

    workers: int = Field(default=1, ge=1, le=64)
    """Processes that answer on the port. One keeps a core busy at several thousand requests a second."""

    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    """Largest request body of the model calls. Uploads pass through and are limited by the data settings."""

    max_header_bytes: int = Field(default=64 * 1024, ge=4096)
    """Largest request line plus headers."""

    max_json_depth: int = Field(default=64, ge=8, le=500)
    """How deep a request's JSON may nest."""

    body_timeout_seconds: float = Field(default=30.0, gt=0)
    """How long a model call's body may take to arrive, and how long an upload may pause."""

    start_timeout_seconds: float = Field(default=60.0, ge=0)
    """How long a request waits for a model that is being started."""

    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    """How long connecting to an engine may take."""

    engine_silence_seconds: float = Field(default=600.0, gt=0)
    """How long an engine may send nothing before it counts as lost."""

    switch_timeout_seconds: float = Field(default=3.0, ge=0)
    """How long a request whose engine was lost waits for news of a replacement before its second attempt."""

    client_stall_seconds: float = Field(default=300.0, gt=0)
    """A client that reads nothing for this long while its answer waits is dropped, which frees the engine."""

    keepalive_comment_seconds: float = Field(default=15.0, gt=0)
    """A streaming client gets an SSE comment after this much silence."""

    snapshot_poll_seconds: float = Field(default=0.2, gt=0)
    """How often the gateway looks for changed keys, models and endpoints."""

    stale_limit_seconds: float = Field(default=86_400.0, gt=0)
    """While the database is away, how long keys, routes and limits are taken from the last good reading. Then 503."""

    usage_flush_seconds: float = Field(default=0.25, gt=0)
    """How long usage records stay in the local journal before they move to the database."""

    moves_usage: bool = False
    """Move the journal to the database from here. Needed on a machine that has no worker."""

    usage_held_records: int = Field(default=10_000, ge=1)
    """Usage records kept in memory while the journal cannot be written; at this number requests wait."""

    mirrors_at_once: int = Field(default=8, ge=0)
    """Shadow copies of requests that may run at once in each process; more are left out."""

    log_requests: bool = True
    """Write a line for each model call to `logs/requests-<worker>.jsonl`. See the telemetry page of the docs."""

    log_sample: float = Field(default=1.0, ge=0, le=1)
    """Share of the ordinary calls that get a line. Failed and slow ones always do, up to `log_bytes_per_second`."""

    log_slow_seconds: float = Field(default=10.0, gt=0)
    """A call that took so long to its first token (or to its end, without one) is slow."""

    log_bytes_per_second: int = Field(default=256 * 1024, ge=4096)
    """The request log's bound for each process. Above half of it only failed and slow calls are written."""

    log_file_bytes: int = Field(default=64 * 1024 * 1024, ge=64 * 1024)
    """A request log of this size is moved aside."""

    log_files: int = Field(default=5, ge=1, le=100)
    """Request log files kept for each process, with the current one."""

    otlp_endpoint: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Send spans to this OpenTelemetry collector, as http://127.0.0.1:4318/v1/traces. Empty: no spans."""

    trace_sample: float = Field(default=1.0, ge=0, le=1)
    """Share of the model calls that get spans. A call with a `traceparent` does what that says."""

    trace_outside: bool = False
    """Pass `traceparent` on to targets outside this machine too."""

    drain_seconds: int = Field(default=30, ge=0)
    """At shutdown, how long running answers may take to finish."""
