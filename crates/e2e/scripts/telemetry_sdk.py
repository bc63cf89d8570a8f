"""OpenTelemetry's own SDK and exporters: spans, logs and metrics over HTTP and gRPC, packed and not.
Arguments: url, key."""

import logging
import sys

import grpc
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

url, key = sys.argv[1:]
address = url.removeprefix("http://")
resource = Resource.create({"service.name": "shop", "groundcrew.app": "support"})
results = []


def watched(exporter):
    """The exporter, its results kept."""
    export = exporter.export

    def kept(*args, **kwargs):
        result = export(*args, **kwargs)
        results.append(result.name)
        return result

    exporter.export = kept
    return exporter


def send(name, traces, logs, metrics):
    """A span with a child, a log record within it, a counter and a histogram."""
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(SimpleSpanProcessor(watched(traces)))
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(watched(logs)))
    meters = MeterProvider([PeriodicExportingMetricReader(watched(metrics))], resource=resource)
    log = logging.getLogger(name)
    log.addHandler(LoggingHandler(logger_provider=loggers))
    log.propagate = False
    with tracers.get_tracer(name).start_as_current_span(f"{name} request") as span:
        span.set_attribute("http.route", "/chat")
        with tracers.get_tracer(name).start_as_current_span(f"{name} model"):
            log.error("%s has no answer", name)
        span.add_event("retried", {"times": 2})
    meter = meters.get_meter(name)
    meter.create_counter("orders").add(3, {"by": name})
    meter.create_histogram("wait", unit="s").record(0.25, {"by": name})
    assert tracers.force_flush() and loggers.force_flush() and meters.force_flush()
    for provider in (tracers, loggers, meters):
        provider.shutdown()


bearer = {"authorization": f"Bearer {key}"}
for packed in (Compression.NoCompression, Compression.Gzip):
    send(
        f"http-{packed.value}",
        http_traces.OTLPSpanExporter(f"{url}/v1/traces", headers=bearer, compression=packed),
        http_logs.OTLPLogExporter(f"{url}/v1/logs", headers={"x-api-key": key}, compression=packed),
        http_metrics.OTLPMetricExporter(f"{url}/v1/metrics", headers=bearer, compression=packed),
    )
for packed in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
    options = {"endpoint": address, "insecure": True, "headers": bearer, "compression": packed}
    send(
        f"grpc-{packed.name}",
        grpc_traces.OTLPSpanExporter(**options),
        grpc_logs.OTLPLogExporter(**options),
        grpc_metrics.OTLPMetricExporter(**options),
    )
# Two spans and one log record each, and metrics at the flush and at the end.
assert set(results) == {"SUCCESS"} and len(results) >= 4 * 4, results

refused = {"authorization": "Bearer wrong"}
logging.disable(logging.CRITICAL)
for exporter in (
    http_traces.OTLPSpanExporter(f"{url}/v1/traces", headers=refused),
    grpc_traces.OTLPSpanExporter(endpoint=address, insecure=True, headers=refused),
):
    span = TracerProvider().get_tracer("x").start_span("unseen")
    span.end()
    assert exporter.export([span]) is SpanExportResult.FAILURE
print("all right")
