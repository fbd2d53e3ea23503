// The server's address and its names for models, for the programs beside this one.
//
// LLAMA_STACK_URL    where the server is; http://127.0.0.1:8321, as `make serve` starts it, unless set
// LLAMA_STACK_MODEL  the model to chat with instead of the programs' own

import OpenAI, { NotFoundError } from "openai";

export const url = (process.env.LLAMA_STACK_URL ?? "http://127.0.0.1:8321").replace(/\/+$/, "");

/** OpenAI's client for the server: below /v1, in Llama Stack 0.2.x a level deeper. */
export async function openaiClient(): Promise<OpenAI> {
  for (const path of ["/v1/openai/v1", "/v1"]) {
    const client = new OpenAI({ baseURL: url + path, apiKey: "none" });
    try {
      await client.models.list();
      return client;
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }
  throw new Error(`${url} speaks no OpenAI API: is a Llama Stack server there?`);
}

/** The server's name for a model: it may put its provider's id before the NIM's name. */
export async function named(model: string): Promise<string> {
  const names: string[] = [];
  for await (const entry of await (await openaiClient()).models.list()) names.push(entry.id);
  const found = names.find((name) => name === model || name.endsWith(`/${model}`));
  if (!found) throw new Error(`The server does not offer ${model}; it has ${names.join(", ")}.`);
  return found;
}

export const chatModel = () =>
  named(process.env.LLAMA_STACK_MODEL ?? "meta/llama-3.1-8b-instruct");
