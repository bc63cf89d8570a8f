// The official OpenAI SDK for Node: plain, streaming, tools. Arguments: answer, url, key.

import assert from "node:assert/strict";
import OpenAI from "openai";

const [answer, url, key] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const messages = [{ role: "user", content: "Say something." }];

const whole = await client.chat.completions.create({ model: "plain", messages });
assert.equal(whole.choices[0].message.content, answer);

let text = "";
for await (const chunk of await client.chat.completions.create({ model: "plain", messages, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? "";
}
assert.equal(text, answer);

const tools = [
  {
    type: "function",
    function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
  },
];
const called = await client.chat.completions.create({ model: "tools", messages, tools });
const call = called.choices[0].message.tool_calls[0];
assert.equal(call.function.name, "weather");

let told = "";
for await (const chunk of await client.chat.completions.create({ model: "tools", messages, tools, stream: true })) {
  told += chunk.choices[0]?.delta?.tool_calls?.[0]?.function?.arguments ?? "";
}
assert.equal(told, call.function.arguments);

const follow = [
  ...messages,
  called.choices[0].message,
  { role: "tool", tool_call_id: call.id, content: "4 degrees" },
];
const answered = await client.chat.completions.create({ model: "tools", messages: follow, tools });
assert.ok(answered.choices[0].message.content.includes("4 degrees"), answered.choices[0].message.content);

await assert.rejects(
  client.chat.completions.create({ model: "nowhere", messages }),
  (error) => error instanceof OpenAI.NotFoundError,
);
console.log("all right");
