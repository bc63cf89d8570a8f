"""The official OpenAI SDK: plain, streaming, tools, errors. Arguments: answer, url, key."""

import sys

import openai

answer, url, key = sys.argv[1:]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
ask = [{"role": "user", "content": "Say something."}]

assert "plain" in [model.id for model in client.models.list()]

whole = client.chat.completions.create(model="plain", messages=ask, temperature=0.5)
assert whole.choices[0].message.content == answer, whole
assert whole.choices[0].finish_reason == "stop"
assert whole.usage.prompt_tokens > 0 and whole.usage.completion_tokens > 0

cached = client.chat.completions.create(model="cached", messages=ask)
assert cached.usage.prompt_tokens_details.cached_tokens > 0, cached.usage

pieces, usage, reasons = [], None, []
for chunk in client.chat.completions.create(
    model="plain", messages=ask, stream=True, stream_options={"include_usage": True}
):
    usage = chunk.usage or usage
    for choice in chunk.choices:
        pieces.append(choice.delta.content or "")
        reasons.append(choice.finish_reason)
assert "".join(pieces) == answer, pieces
assert reasons[-1] == "stop" and set(reasons[:-1]) == {None}, reasons
assert usage.total_tokens == whole.usage.total_tokens, usage

tools = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
called = client.chat.completions.create(model="tools", messages=ask, tools=tools)
call = called.choices[0].message.tool_calls[0]
assert called.choices[0].finish_reason == "tool_calls" and call.function.name == "weather"
follow = ask + [
    called.choices[0].message.model_dump(exclude_none=True),
    {"role": "tool", "tool_call_id": call.id, "content": "4 degrees"},
]
told = client.chat.completions.create(model="tools", messages=follow, tools=tools)
assert "4 degrees" in told.choices[0].message.content, told

arguments = ""
with client.chat.completions.stream(model="tools", messages=ask, tools=tools) as stream:
    final = stream.get_final_completion()
assert final.choices[0].message.tool_calls[0].function.arguments == call.function.arguments

for model, kind in [("nowhere", openai.NotFoundError), ("fault-s12", openai.BadRequestError)]:
    try:
        client.chat.completions.create(model=model, messages=ask)
        raise AssertionError(f"{model} answered")
    except kind as error:
        assert error.body["message"], error

try:
    client.chat.completions.create(model="fault-401", messages=ask)
    raise AssertionError("a refused credential answered")
except openai.AuthenticationError as error:
    raise AssertionError("our credential is not the client's") from error
except openai.InternalServerError as error:
    assert "upstream-secret" not in str(error)

try:
    for chunk in client.chat.completions.create(model="fault-s08", messages=ask, stream=True):
        assert not any(choice.finish_reason for choice in chunk.choices), chunk
    raise AssertionError("a broken stream ended as if it were whole")
except openai.APIError:
    pass

try:
    openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).models.list()
    raise AssertionError("a wrong key was accepted")
except openai.AuthenticationError:
    pass
print("all right")
