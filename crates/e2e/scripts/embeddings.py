"""Vectors through the official OpenAI SDK. Arguments: url, key."""

import sys

import openai

url, key = sys.argv[1:]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
both = client.embeddings.create(model="plain", input=["one text", "another"])
assert [item.index for item in both.data] == [0, 1] and both.usage.total_tokens > 0
plain = client.embeddings.create(model="plain", input="one text", encoding_format="float")
assert [round(x, 5) for x in plain.data[0].embedding] == [round(x, 5) for x in both.data[0].embedding]
print("all right")
