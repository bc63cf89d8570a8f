"""A cited answer through both SDKs, plain and streaming. Arguments: url, key."""

import sys

import anthropic
import openai

url, key = sys.argv[1:]
question = [{"role": "user", "content": "How many days do I have to return a helmet?"}]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

whole = client.chat.completions.create(model="support", messages=question).choices[0].message
assert "30 days from delivery" in whole.content, whole.content
cited = whole.annotations[0].url_citation
assert cited.url == "returns/return-policy.md", cited
assert "30 days" in whole.content[cited.start_index : cited.end_index], cited

text, annotations = "", []
for chunk in client.chat.completions.create(model="support", messages=question, stream=True):
    for choice in chunk.choices:
        text += choice.delta.content or ""
        annotations += getattr(choice.delta, "annotations", None) or []
assert text == whole.content and len(annotations) == len(whole.annotations), (text, annotations)

other = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
message = other.messages.create(model="support", max_tokens=500, messages=question)
assert message.content[0].citations[0].type == "char_location", message
with other.messages.stream(model="support", max_tokens=500, messages=question) as stream:
    final = stream.get_final_message()
assert final.content[0].text == message.content[0].text
assert len(final.content[0].citations) == len(message.content[0].citations)
print("all right")
