"""Spans and metrics of runs for an OpenTelemetry collector, by OTLP over HTTP.

The standard variables configure it (https://opentelemetry.io/docs/specs/otel/protocol/exporter/):
the address of the collector switches it on, and the SDK reads the rest, such as
`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME` and `OTEL_TRACES_SAMPLER`. Nothing of a
conversation is sent: neither messages nor arguments nor the texts of errors.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from teamrun.components.registry import Registry
from teamrun.core.optional import require
from teamrun.errors import DefinitionError, MissingPackage
from teamrun.runs.log.traces import ModelOf, NamedModel, RunTraces, Span, Trace
from teamrun.version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Telemetry", "open_telemetry"]

logger = logging.getLogger(__name__)

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROVIDERS: Final[Mapping[str, str]] = {
    "openai": "openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "anthropic": "anthropic",
    "anthropic_bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
}
"""`gen_ai.provider.name` by the type of a profile; other types have their own name."""
_SECONDS: Final = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
_TOKENS: Final = tuple(4**n for n in range(14))
"""The boundaries of both histograms are those of the conventions."""
_GRACE: Final = timedelta(seconds=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def open_telemetry(environ: Mapping[str, str], registry: Registry) -> "Telemetry | None":
    """The exporters that the environment switches on; None if it switches none on.

    Without the packages, a record is logged and nothing is exported: the address may be meant for
    other programs.

    Args:
        environ: The environment variables.
        registry: Knows the models of profiles.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    signals = [signal for signal in ("traces", "metrics") if _address(signal, environ)]
    if not signals:
        return None
    try:
        for package in ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"):
            require(package, extra="otel", needed_by=_ENDPOINT)
    except MissingPackage as error:
        data = {"action": "telemetry.unavailable", "package": error.data["package"]}
        logger.warning("Nothing is sent to a collector: a package is missing", extra=data)
        return None
    return Telemetry(environ, _models_of(registry))


def _address(signal: str, environ: Mapping[str, str]) -> str | None:
    """The URL that a signal is sent to; None if it is not sent."""
    if environ.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp").strip().lower() != "otlp":
        return None
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    if own:
        return own
    base = environ.get(_ENDPOINT)
    return f"{base.rstrip('/')}/v1/{signal}" if base else None


def _models_of(registry: Registry) -> ModelOf:
    known: dict[str, NamedModel] = {}

    def model_of(profile: str) -> NamedModel:
        if profile not in known:
            try:
                use = registry.model_use(profile)
            except (DefinitionError, KeyError):  # the team in Python has clients of its own
                return NamedModel("unknown")
            known[profile] = NamedModel(_PROVIDERS.get(use.type, use.type), use.model)
        return known[profile]

    return model_of


class Telemetry:
    """Exports the spans and metrics of the runs whose entries this process appends.

    Args:
        environ: The environment variables.
        model_of: Describes the model of a profile.
    """

    def __init__(self, environ: Mapping[str, str], model_of: ModelOf) -> None:
        self._ids = _Ids()
        self._spans = _tracer_provider(environ, self._ids)
        self._metrics = _meter_provider(environ)
        self.observer: Final = RunTraces(self._export, model_of)
        """Its `appended` is an observer of the log."""
        meter = self._metrics.get_meter("teamrun", __version__)
        self._tracer = self._spans.get_tracer("teamrun", __version__)
        self._used = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._took = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )

    def flush(self, grace: timedelta = _GRACE) -> None:
        """Send what is waiting; blocks until it is sent, at most for that time."""
        milliseconds = round(grace.total_seconds() * 1000)
        self._spans.force_flush(milliseconds)
        self._metrics.force_flush(milliseconds)

    async def close(self, grace: timedelta = _GRACE) -> None:
        """Send what is waiting, for at most that time, and end the exporters."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            self.flush(grace)
            self._spans.shutdown()
            self._metrics.shutdown()
            with suppress(RuntimeError):  # the loop has not waited any longer
                loop.call_soon_threadsafe(ended.set)

        # A thread that ends with the process: the SDK waits longer than it was told.
        threading.Thread(target=end, name="teamrun-telemetry", daemon=True).start()
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await ended.wait()
        except TimeoutError:
            data = {"action": "telemetry.not_sent"}
            logger.warning("The collector does not respond; spans and metrics are lost", extra=data)

    def _export(self, span: Span) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        attributes = span.attributes
        if span.error is not None:
            attributes["error.type"] = span.error
        self._ids.trace_id, self._ids.span_id = int(span.trace.trace_id, 16), int(span.span_id, 16)
        made = self._tracer.start_span(
            span.name,
            context=self._context(span.trace, span.parent_id),
            kind=SpanKind.CLIENT if span.operation == "chat" else SpanKind.INTERNAL,
            attributes=attributes,
            start_time=_nanoseconds(span.start),
        )
        if span.error is not None:
            made.set_status(Status(StatusCode.ERROR))
        made.end(_nanoseconds(span.end))
        if span.operation == "chat":
            self._measure(span)

    def _measure(self, span: Span) -> None:
        names = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")
        more = ("gen_ai.response.model", "error.type")
        labels = {name: span.attributes[name] for name in names + more if name in span.attributes}
        self._took.record((span.end - span.start).total_seconds(), labels)
        if span.usage is not None:
            for kind, tokens in (
                ("input", span.usage.prompt_tokens),
                ("output", span.usage.completion_tokens),
            ):
                self._used.record(tokens, {**labels, "gen_ai.token.type": kind})

    def _context(self, trace: Trace, parent_id: str | None) -> "Context":
        from opentelemetry.context import Context
        from opentelemetry.trace import (
            NonRecordingSpan,
            SpanContext,
            TraceFlags,
            set_span_in_context,
        )

        if parent_id is None:
            return Context()
        sampled = trace.is_sampled
        if trace.parent_id is None:  # the root is not there yet, and is sampled by the trace id
            trace_id = int(trace.trace_id, 16)
            sampled = self._spans.sampler.should_sample(None, trace_id, "").decision.is_sampled()
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        parent = SpanContext(
            int(trace.trace_id, 16), int(parent_id, 16), is_remote=True, trace_flags=flags
        )
        return set_span_in_context(NonRecordingSpan(parent), Context())


class _Ids:
    """An `IdGenerator` of the SDK: gives the ids that were derived from the run."""

    def __init__(self) -> None:
        self.trace_id = self.span_id = 0

    def generate_trace_id(self) -> int:
        """The id for the next root span."""
        return self.trace_id

    def generate_span_id(self) -> int:
        """The id for the next span."""
        return self.span_id

    def is_trace_id_random(self) -> bool:
        """Whether the last 56 bits are random; they are those of a hash."""
        return True


def _resource(environ: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.resources import Resource

    named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create({} if named else {"service.name": "teamrun"})


def _tracer_provider(environ: Mapping[str, str], ids: _Ids) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(
        resource=_resource(environ), id_generator=cast(Any, ids), shutdown_on_exit=False
    )
    if (address := _address("traces", environ)) is not None:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
    return provider


def _meter_provider(environ: Mapping[str, str]) -> "MeterProvider":
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    address = _address("metrics", environ)
    readers = (
        []
        if address is None
        else [PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=address))]
    )
    return MeterProvider(readers, resource=_resource(environ), shutdown_on_exit=False)


def _nanoseconds(time: datetime) -> int:
    """Since 1970; exact, where a float would lose microseconds."""
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000
