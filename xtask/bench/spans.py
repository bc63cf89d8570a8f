"""Writes a message of twenty traces of five spans as OTLP protobuf, and where in it what differs from
message to message stands: ids, times, texts and passages. Its spans have `BYTES` bytes on average.

    python spans.py BYTES MESSAGE PLACES
"""

import json
import struct
import sys

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACES, SPANS = 20, 5
MODELS = ["gpt-4o-mini", "gpt-4o", "claude-haiku"]
# From the trace's beginning, in milliseconds: when each span begins and ends.
TIMES = [(0, 900), (5, 60), (70, 420), (430, 480), (490, 890)]


def trace_id(trace):
    return b"\xee" * 12 + struct.pack(">I", trace)


def span_id(trace, span):
    return b"\xdd" * 4 + struct.pack(">HH", trace, span)


def time(trace, span, end):
    """A time nobody else has: the end of its bytes says which it is."""
    return 0x41C2_0000_0000_0000 | trace << 32 | span << 16 | end


def text(length):
    return "@" * max(length, 1)


def messages(role, length):
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text(length)}]}])


def documents():
    passage = {"id": "passage-########", "document": "docs/########.md", "score": 0.71}
    return json.dumps([passage] * 4)


def message(filler):
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()

    def put(attributes, **values):
        for name, value in values.items():
            attribute = attributes.add(key=name.replace("__", "."))
            kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
            setattr(attribute.value, kind, value)

    put(
        resource.resource.attributes,
        service__name="shop",
        service__version="7",
        deployment__environment__name="prod",
        telemetry__sdk__language="python",
        telemetry__sdk__name="opentelemetry",
        telemetry__sdk__version="1.45.2",
        groundcrew__app="support",
    )
    scope = resource.scope_spans.add()
    scope.scope.name = "opentelemetry.instrumentation.openai"
    scope.scope.version = "0.62.4"
    for trace in range(TRACES):
        for span, (start, end) in enumerate(TIMES):
            row = scope.spans.add(
                trace_id=trace_id(trace),
                span_id=span_id(trace, span),
                parent_span_id=b"" if span == 0 else span_id(trace, 0),
                name=["invoke_agent support", "retrieval handbook", "chat", "execute_tool order", "chat"][span],
                kind=Span.SPAN_KIND_CLIENT if span else Span.SPAN_KIND_SERVER,
                start_time_unix_nano=time(trace, span, 0),
                end_time_unix_nano=time(trace, span, 1),
            )
            put(row.attributes, gen_ai__conversation__id=f"session-{trace:03}", user__id=f"user-{trace:03}")
            put(row.attributes, groundcrew__release=f"release-{trace % 4}")
            if span == 0:
                put(row.attributes, gen_ai__operation__name="invoke_agent", gen_ai__agent__name="support")
                put(row.attributes, gen_ai__input__messages=messages("user", filler))
                if trace % 10 == 3:
                    row.status.code = Status.STATUS_CODE_ERROR
                    put(row.attributes, error__type="timeout")
            elif span == 1:
                put(row.attributes, gen_ai__operation__name="retrieval", gen_ai__data_source__id="handbook")
                put(row.attributes, gen_ai__retrieval__query__text=text(80))
                put(row.attributes, gen_ai__retrieval__documents=documents())
                put(row.attributes, gen_ai__system_instructions=text(filler - 400))
            elif span == 3:
                put(row.attributes, gen_ai__operation__name="execute_tool", gen_ai__tool__name="order")
                put(row.attributes, gen_ai__tool__call__id="call-1")
                put(row.attributes, gen_ai__tool__call__arguments=json.dumps({"order": text(20)}))
                put(row.attributes, gen_ai__tool__call__result=json.dumps({"said": text(filler)}))
            else:
                put(
                    row.attributes,
                    gen_ai__operation__name="chat",
                    gen_ai__provider__name="openai",
                    gen_ai__request__model=MODELS[trace % 3],
                    gen_ai__response__model=MODELS[trace % 3],
                    gen_ai__response__id="chatcmpl-########",
                    gen_ai__request__temperature=0.2,
                    gen_ai__usage__input_tokens=900 + trace,
                    gen_ai__usage__output_tokens=120 + span,
                )
                put(row.attributes, gen_ai__input__messages=messages("user", filler // 2))
                put(row.attributes, gen_ai__output__messages=messages("assistant", filler // 2))
    return request.SerializeToString()


def every(found, pattern):
    at = found.find(pattern)
    while at >= 0:
        yield at
        at = found.find(pattern, at + len(pattern))


def runs(found, byte, least):
    """Where `byte` stands so often in a row, and how often."""
    at = found.find(byte * least)
    while at >= 0:
        end = at
        while found[end : end + 1] == byte:
            end += 1
        yield [at, end - at]
        at = found.find(byte * least, end)


def main():
    wanted, to, places = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    filler = 100
    while len(message(filler)) < wanted * TRACES * SPANS:
        filler += 20
    found = message(filler)
    numbers = [(trace, span) for trace in range(TRACES) for span in range(SPANS)]
    told = {
        "spans": TRACES * SPANS,
        "traces": [list(every(found, trace_id(trace))) for trace in range(TRACES)],
        "ids": [list(every(found, span_id(*number))) for number in numbers],
        "times": [
            [at, TIMES[span][end] * (1 + trace)]
            for trace, span in numbers
            for end in (0, 1)
            for at in every(found, struct.pack("<Q", time(trace, span, end)))
        ],
        "texts": list(runs(found, b"@", 16)),
        "digits": list(runs(found, b"#", 8)),
    }
    with open(to, "wb") as file:
        file.write(found)
    with open(places, "w") as file:
        json.dump(told, file)


main()
