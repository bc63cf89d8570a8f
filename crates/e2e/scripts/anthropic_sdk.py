"""The official Anthropic SDK: plain, streaming, tools, errors. Arguments: answer, url, key."""

import sys

import anthropic

answer, url, key = sys.argv[1:]
client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
ask = [{"role": "user", "content": "Say something."}]

assert "plain" in [model.id for model in client.models.list()]

whole = client.messages.create(model="plain", max_tokens=500, system="Be kind.", messages=ask)
assert whole.content[0].text == answer, whole
assert whole.stop_reason == "end_turn" and whole.usage.output_tokens > 0

cached = client.messages.create(model="cached", max_tokens=500, messages=ask)
assert cached.usage.cache_read_input_tokens > 0, cached.usage

with client.messages.stream(model="plain", max_tokens=500, messages=ask) as stream:
    pieces = list(stream.text_stream)
    final = stream.get_final_message()
assert "".join(pieces) == answer and final.stop_reason == "end_turn", final
assert final.usage.output_tokens == whole.usage.output_tokens

tools = [
    {
        "name": "weather",
        "description": "The weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]
called = client.messages.create(model="tools", max_tokens=500, messages=ask, tools=tools)
call = next(block for block in called.content if block.type == "tool_use")
assert called.stop_reason == "tool_use" and call.name == "weather"
follow = ask + [
    {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in called.content]},
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "4 degrees"}],
    },
]
told = client.messages.create(model="tools", max_tokens=500, messages=follow, tools=tools)
assert "4 degrees" in told.content[0].text, told

with client.messages.stream(model="tools", max_tokens=500, messages=ask, tools=tools) as stream:
    final = stream.get_final_message()
streamed = next(block for block in final.content if block.type == "tool_use")
assert streamed.input == call.input, final

try:
    client.messages.create(model="nowhere", max_tokens=5, messages=ask)
    raise AssertionError("an unknown app answered")
except anthropic.NotFoundError as error:
    assert error.body["type"] == "error", error.body

try:
    with client.messages.stream(model="fault-s08", max_tokens=500, messages=ask) as stream:
        for _ in stream.text_stream:
            pass
    raise AssertionError("a broken stream ended as if it were whole")
except anthropic.APIError:
    pass
print("all right")
