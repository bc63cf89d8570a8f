"""OpenAI's SDK, instrumented by OpenLLMetry and by OpenInference, against an app of ours: its spans
come here too. Arguments: url, key."""

import sys

import openai
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetry
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

url, key = sys.argv[1:]
for instrumentor in (OpenLLMetry(), OpenInference()):
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    exporter = OTLPSpanExporter(f"{url}/v1/traces", headers={"authorization": f"Bearer {key}"})
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor.instrument(tracer_provider=provider)
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    ask = [{"role": "user", "content": "Say something."}]
    assert client.chat.completions.create(model="plain", messages=ask).choices[0].message.content
    instrumentor.uninstrument()
    provider.shutdown()
print("all right")
