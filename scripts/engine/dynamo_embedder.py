"""A Dynamo worker of embeddings: a vector that depends on the text alone, and no model.

    python dynamo_embedder.py FOLDER NAME

It prints each request that the front end hands on, so that a test sees which fields arrive.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvloop
from dynamo.llm import ModelInput, ModelType, WorkerType, register_model
from dynamo.runtime import DistributedRuntime

WIDTH = 8


def vector(text: Any, width: int) -> list[float]:
    """Return numbers that follow from the text."""
    chance = random.Random(str(text))
    return [chance.uniform(-1, 1) for _ in range(width)]


async def embed(request: dict[str, Any], context: Any = None) -> AsyncIterator[dict[str, Any]]:
    """Answer one request as OpenAI's API does."""
    print(f"embedding {json.dumps(request, default=str)}", flush=True)
    asked = request.get("input")
    several = isinstance(asked, list) and asked and not isinstance(asked[0], int)
    texts = asked if several else [asked]
    width = request.get("dimensions") or WIDTH
    data = [
        {"object": "embedding", "index": index, "embedding": vector(text, width)}
        for index, text in enumerate(texts or ())
    ]
    usage = {"prompt_tokens": len(data), "total_tokens": len(data)}
    yield {"object": "list", "data": data, "model": request.get("model"), "usage": usage}


async def serve(folder: str, name: str) -> None:
    """Register the model and serve it until told to stop."""
    runtime = DistributedRuntime(asyncio.get_running_loop(), "file", "tcp", event_plane="zmq")
    endpoint = runtime.endpoint("dynamo.embedder.generate")
    kind = WorkerType.Aggregated
    await register_model(
        ModelInput.Text, ModelType.Embedding, endpoint, folder, name, worker_type=kind
    )
    await endpoint.serve_endpoint(embed)


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:3]))
