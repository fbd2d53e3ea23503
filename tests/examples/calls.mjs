// What each npm client can call on the server at LLAMA_STACK_URL, as JSON: "yes", or the error.
//
// NPM_FOLDER is where the packages are installed.

import { createRequire } from "node:module";

const require = createRequire(`${process.env.NPM_FOLDER}/`);
const OpenAI = require("openai").default;
const Client = require("llama-stack-client").default;
const Client02 = require("llama-stack-client-0.2").default;

const url = process.env.LLAMA_STACK_URL;
const options = { timeout: 60_000, maxRetries: 0 };
const old = (await fetch(`${url}/v1/openai/v1/models`)).ok;
const openai = new OpenAI({ baseURL: `${url}${old ? "/v1/openai/v1" : "/v1"}`, apiKey: "none", ...options });
const names = (await openai.models.list()).data.map((model) => model.id);
const named = (model) => names.find((name) => name === model || name.endsWith(`/${model}`)) ?? model;
const model = named("meta/llama-3.1-8b-instruct");
const embedder = named("nvidia/nv-embedqa-e5-v5");
const reranker = named("nvidia/llama-3.2-nv-rerankqa-1b-v2");
const messages = [{ role: "user", content: "Please count to 3" }];

async function streamed(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices?.[0]?.delta.content ?? chunk.event?.delta.text ?? "";
  return text;
}

const openaiCalls = (client) => ({
  "models.list": async () => {
    for await (const found of await client.models.list()) return found.id ?? found.identifier;
  },
  "chat.completions.create": async () =>
    (await client.chat.completions.create({ model, messages })).choices[0].message.content,
  "chat.completions.create, streaming": async () =>
    streamed(await client.chat.completions.create({ model, messages, stream: true })),
  "completions.create": async () =>
    (await client.completions.create({ model, prompt: "One, two", max_tokens: 5 })).choices[0].text,
  "embeddings.create": async () =>
    (await client.embeddings.create({ model: embedder, input: "Hello" })).data[0].embedding.length,
  "responses.create": async () => (await client.responses.create({ model, input: "Please count to 3" })).output[0].content[0].text,
});

const old_client = new Client02({ baseURL: url, ...options });
const client = new Client({ baseURL: url, ...options });
const clients = {
  openai: openaiCalls(openai),
  "llama-stack-client 0.7.3": {
    ...openaiCalls(client),
    "alpha.inference.rerank": async () =>
      (await client.alpha.inference.rerank({ model: reranker, query: "a", items: ["a", "b"] })).length,
  },
  "llama-stack-client 0.2.23": {
    ...openaiCalls(old_client),
    "inference.chatCompletion": async () =>
      (await old_client.inference.chatCompletion({ model_id: model, messages })).completion_message.content,
    "inference.chatCompletion, streaming": async () =>
      streamed(await old_client.inference.chatCompletion({ model_id: model, messages, stream: true })),
    "inference.embeddings": async () =>
      (await old_client.inference.embeddings({ model_id: embedder, contents: ["Hello"] })).embeddings[0].length,
  },
};

const found = {};
for (const [name, calls] of Object.entries(clients)) {
  found[name] = {};
  for (const [call, make] of Object.entries(calls)) {
    try {
      const answer = await make();
      found[name][call] = answer ? "yes" : `no answer: ${JSON.stringify(answer)}`;
    } catch (error) {
      found[name][call] = `${error.name} ${error.status ?? ""} ${error.message}`.slice(0, 200);
    }
  }
}
console.log(JSON.stringify(found, null, 1));
