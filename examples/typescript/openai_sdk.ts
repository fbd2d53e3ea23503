// The npm package `openai` with the server: chat, stream, tool, JSON schema, embeddings.
//
//     cd examples/typescript && npm ci
//     node openai_sdk.ts

import { chatModel, named, openaiClient } from "./stack.ts";

const client = await openaiClient();
const model = await chatModel();

const answer = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "What is NVIDIA NIM?" }],
});
console.log(`Chat:       ${answer.choices[0]?.message.content} [${answer.usage?.total_tokens} tokens]`);

process.stdout.write("Stream:     ");
const stream = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "Please count to 10" }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? "");
console.log();

const asked = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "What is the weather in Paris?" }],
  tools: [
    {
      type: "function",
      function: {
        name: "get_weather",
        description: "The weather in a city",
        parameters: {
          type: "object",
          properties: { city: { type: "string" } },
          required: ["city"],
        },
      },
    },
  ],
});
for (const call of asked.choices[0]?.message.tool_calls ?? []) {
  if (call.type === "function")
    console.log(`Tool call:  ${call.function.name}(${call.function.arguments})`);
}

const schema = {
  type: "object",
  properties: { city: { type: "string" }, country: { type: "string" } },
  required: ["city", "country"],
};
const place = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "Paris is in France." }],
  response_format: { type: "json_schema", json_schema: { name: "place", schema } },
});
console.log("Object:    ", Object.keys(JSON.parse(place.choices[0]?.message.content ?? "")).sort());

const { data } = await client.embeddings.create({
  model: await named("nvidia/nv-embedqa-e5-v5"),
  input: ["Mars has two moons.", "Venus has none."],
});
console.log(`Embeddings: ${data.length} vectors of ${data[0]?.embedding.length} numbers`);
