// The npm package `llama-stack-client` with a server of Llama Stack 0.3 or later, or OGX: chat, stream,
// embeddings, rerank.
//
//     cd examples/typescript && npm ci
//     node stack_client.ts

import LlamaStackClient from "llama-stack-client";
import { chatModel, named, url } from "./stack.ts";

const client = new LlamaStackClient({ baseURL: url });
const model = await chatModel();

const answer = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "What is NVIDIA NIM?" }],
});
if ("choices" in answer) console.log(`Chat:       ${answer.choices[0]?.message.content}`);

process.stdout.write("Stream:     ");
const stream = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "Please count to 10" }],
  stream: true,
});
for await (const chunk of stream) {
  if ("choices" in chunk) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
console.log();

const { data } = await client.embeddings.create({
  model: await named("nvidia/nv-embedqa-e5-v5"),
  input: ["Mars has two moons.", "Venus has none."],
});
console.log(`Embeddings: ${data.length} vectors of ${data[0]?.embedding.length} numbers`);

const documents = ["Venus has none.", "Mars has two moons."];
const ranked = await client.alpha.inference.rerank({
  model: await named("nvidia/llama-3.2-nv-rerankqa-1b-v2"),
  query: "How many moons does Mars have?",
  items: documents,
});
console.log(`Best:       ${documents[ranked[0]?.index ?? -1]}`);
