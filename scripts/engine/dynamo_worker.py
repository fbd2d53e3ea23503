"""A Dynamo worker that writes scripted text: real tokens, stops and cancellation, no model.

    python dynamo_worker.py --model-path FOLDER --model-name NAME --tool-call-parser hermes

What it writes follows the last user message:

- with a constraint (JSON schema, choice): the smallest text that obeys it;
- with tools, until a result came: a tool call, or two where the message says "both";
- "count to N": the numbers; "raise": the engine fails; "refuse": the engine refuses the request;
- "reason": reasoning in <think> tags before the answer;
- anything else: a sentence, and the rendered prompt's last 300 characters.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dynamo.common.backend.engine import EngineConfig, LLMEngine, LlmRegistration
from dynamo.common.backend.run import run
from dynamo.common.backend.worker import WorkerConfig
from dynamo.common.token_budget import TOKEN_BUDGET_RUNTIME_KEY, TokenBudget
from dynamo.llm.exceptions import InvalidArgument
from tokenizers import Tokenizer

END = 1
USER = "<|start_header_id|>user<|end_header_id|>\n\n"
TOOL = "<|start_header_id|>tool"
CALLS = (
    {"name": "get_weather", "arguments": {"city": "Paris", "days": 3}},
    {"name": "get_weather", "arguments": {"city": "Rome", "days": 1}},
)


def smallest(schema: Any) -> Any:
    """Return a small value that fits a plain JSON schema."""
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return smallest(schema[word][0])
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        return {name: smallest(one) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        items = schema.get("items", {"type": "integer"})
        return [smallest(items)] * max(1, schema.get("minItems", 1))
    return {"integer": 42, "number": 1.5, "boolean": True, "null": None}.get(kind, "hello")


def answer(prompt: str, constraint: dict[str, Any]) -> str:
    """Return the text for a rendered prompt."""
    if schema := constraint.get("json"):
        return json.dumps(smallest(json.loads(schema) if isinstance(schema, str) else schema))
    if choices := constraint.get("choice"):
        return str(choices[0])
    said = prompt.rsplit(USER, 1)[-1].split("<|eot_id|>")[0]
    if "raise" in said:
        raise RuntimeError("the engine failed on purpose")
    if "refuse" in said:
        raise InvalidArgument("the engine refuses this on purpose")
    if "Tools: " in prompt and TOOL not in prompt:
        calls = CALLS if "both" in said else CALLS[:1]
        return "\n".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)
    if "reason" in said:
        return "<think>I think about it.</think>The answer is 42."
    if counted := re.search(r"count to (\d+)", said):
        return " ".join(str(n) for n in range(1, int(counted[1]) + 1))
    seen = re.sub(r"<\|[a-z_]+\|>", " ", prompt)[-300:]
    return f"The quick brown fox jumps over the lazy dog. The prompt ended: {seen}"


def _say(line: str) -> None:
    """Print a line with a mark: Dynamo's own log goes to the same file, at times within a line."""
    print(f"[worker] {line}\n", end="", flush=True)


class ScriptedEngine(LLMEngine):  # type: ignore[misc]
    """The engine that Dynamo's worker process runs."""

    options: argparse.Namespace
    tokenizer: Any

    @classmethod
    async def from_args(cls, argv: Any = None) -> tuple[ScriptedEngine, Any]:
        """Make the engine and tell Dynamo how to register it."""
        parser = argparse.ArgumentParser()
        for name in ("--model-path", "--model-name", "--tool-call-parser", "--reasoning-parser"):
            parser.add_argument(name)
        parser.add_argument("--context", type=int, default=2048)
        parser.add_argument("--token-seconds", type=float, default=0.005)
        options = parser.parse_args(argv)
        engine = cls()
        engine.options = options
        engine.tokenizer = Tokenizer.from_file(str(Path(options.model_path) / "tokenizer.json"))
        return engine, WorkerConfig(
            namespace="dynamo",
            component="scripted",
            endpoint="generate",
            model_name=options.model_path,
            served_model_name=options.model_name,
            endpoint_types="chat,completions",
            discovery_backend="file",
            request_plane="tcp",
            event_plane="zmq",
            enable_kv_routing=False,
            tool_call_parser=options.tool_call_parser,
            reasoning_parser=options.reasoning_parser,
        )

    async def start(self, worker_id: Any) -> Any:
        """Return what the front end must know of the engine."""
        context = self.options.context
        limits = LlmRegistration(
            context_length=context,
            kv_cache_block_size=16,
            total_kv_blocks=1000,
            max_num_seqs=64,
            max_num_batched_tokens=context,
        )
        return EngineConfig(
            model=self.options.model_path,
            served_model_name=self.options.model_name,
            llm=limits,
            # As dynamo.vllm does: the front end refuses what is too long.
            runtime_data={TOKEN_BUDGET_RUNTIME_KEY: asdict(TokenBudget(context, True, True))},
        )

    async def generate(self, request: dict[str, Any], context: Any) -> AsyncIterator[Any]:
        """Write the answer, one token per item, and print each."""
        prompt_ids = request.get("token_ids", [])
        prompt = self.tokenizer.decode(prompt_ids, skip_special_tokens=False)
        sampling = request.get("sampling_options") or {}
        tokens = self.tokenizer.encode(answer(prompt, sampling.get("guided_decoding") or {})).ids
        tokens.append(END)
        limits = request.get("stop_conditions") or {}
        most = limits.get("max_tokens") or len(tokens)
        logprobs = (request.get("output_options") or {}).get("logprobs")
        for sent, token in enumerate(tokens[:most], start=1):
            if context.is_stopped():
                yield {"token_ids": [], "index": 0, "finish_reason": "cancelled"}
                return
            await asyncio.sleep(self.options.token_seconds)
            _say("token")
            item: dict[str, Any] = {"token_ids": [token], "index": 0}
            if logprobs is not None:
                ranks = range(max(1, logprobs))
                item["log_probs"] = [-0.5]
                item["top_logprobs"] = [[self._alternative(token + r, r) for r in ranks]]
            if token == END or sent == most:
                item["finish_reason"] = "stop" if token == END else "length"
                item["completion_usage"] = {
                    "prompt_tokens": len(prompt_ids),
                    "completion_tokens": sent,
                    "total_tokens": len(prompt_ids) + sent,
                }
            yield item

    def _alternative(self, token: int, rank: int) -> dict[str, Any]:
        text = self.tokenizer.decode([token % 4000], skip_special_tokens=False)
        return {"rank": rank + 1, "token_id": token % 4000, "token": text, "logprob": -0.5 - rank}

    async def abort(self, context: Any) -> None:
        """Note that the caller has left."""
        _say("aborted")

    async def cleanup(self) -> None:
        """Hold nothing."""


if __name__ == "__main__":
    run(ScriptedEngine)
