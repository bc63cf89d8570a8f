"""Asks the app `support` through the official OpenAI SDK; prints the trace, then the answer."""

import sys

from openai import OpenAI

client = OpenAI()
raw = client.chat.completions.with_raw_response.create(
    model="support",
    messages=[{"role": "user", "content": sys.argv[1]}],
)
message = raw.parse().choices[0].message
print(raw.headers["x-groundcrew-trace"])
print(message.content)
for annotation in message.annotations or []:
    print(f"  {annotation.url_citation.url}: {annotation.url_citation.title}")
