"""The files of the package that one request runs through, and the moves between them.

    python -m scripts.request_path            the table
    python -m scripts.request_path --files    with the calls into each file

Every call of a function of the package counts, a generator's going on as well, from the
adapter's method to the end of the response. The NIM is emulated on a real socket, by another
thread, which is left out. An equal request comes first, so that modules, the client and what is
known of the NIM are loaded.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import llama_stack_provider_nvidia
from llama_stack_provider_nvidia import get_adapter_impl, stack
from llama_stack_provider_nvidia.config import NVIDIAConfig
from nim_emulator import EmulatorServer

MODEL = "meta/llama-3.1-8b-instruct"
EMBEDDER = "nvidia/nv-embedqa-e5-v5"
ROOT = Path(llama_stack_provider_nvidia.__file__).parent
SAID = "count to 3"
_TIMES = 5
_PAUSE = 0.05

Request = Callable[[Any], Awaitable[None]]


@dataclass
class RequestPath:
    """The files that one request ran through.

    Attributes:
        calls: Calls into each file.
        moves: Calls into another file than the call before.
    """

    calls: Counter[str] = field(default_factory=Counter)
    moves: int = 0

    @property
    def files(self) -> int:
        """How many files."""
        return len(self.calls)


async def native_stream(adapter: Any) -> None:
    """A streamed chat in the native API."""
    message = stack.UserMessage(content=SAID)
    stream = await adapter.chat_completion(MODEL, [message], stream=True)
    async for _ in stream:
        pass


async def openai_stream(adapter: Any) -> None:
    """A streamed chat in the OpenAI-style API."""
    message = {"role": "user", "content": SAID}
    stream = await adapter.openai_chat_completion(model=MODEL, messages=[message], stream=True)
    async for _ in stream:
        pass


async def embeddings(adapter: Any) -> None:
    """An OpenAI-style request for embeddings."""
    await adapter.openai_embeddings(model=EMBEDDER, input=["a", "b"])


_NIM_OF: dict[Request, dict[str, Any]] = {
    embeddings: {"dialect": "retriever", "models": [EMBEDDER]}
}


async def measure(adapter: Any, request: Request) -> RequestPath:
    """Count what a request runs through, once an equal one has been answered.

    Returns:
        The shortest of several paths: in how many reads a stream arrives is up to the machine.
    """
    await request(adapter)
    paths = [await _measure(adapter, request) for _ in range(_TIMES)]
    return min(paths, key=lambda path: path.moves)


async def _measure(adapter: Any, request: Request) -> RequestPath:
    await asyncio.sleep(_PAUSE)  # what the one before leaves to be closed
    path = RequestPath()
    last = ""
    names: dict[str, str] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal last
        if event != "call":
            return
        filename = frame.f_code.co_filename
        name = names.get(filename)
        if name is None:
            inside = Path(filename).is_relative_to(ROOT)
            name = names[filename] = str(Path(filename).relative_to(ROOT)) if inside else ""
        if name:
            path.calls[name] += 1
            path.moves += name != last
            last = name

    sys.setprofile(note)
    try:
        await request(adapter)
        await asyncio.sleep(_PAUSE)
    finally:
        sys.setprofile(None)
    return path


def requests() -> dict[str, Request]:
    """The requests that the installed release has, by name."""
    native = {"native stream": native_stream} if stack.NATIVE else {}
    return {**native, "OpenAI-style stream": openai_stream, "embeddings": embeddings}


async def measure_all() -> dict[str, RequestPath]:
    """Measure each request."""
    measured = {}
    for name, request in requests().items():
        with EmulatorServer(**_NIM_OF.get(request, {})) as nim:
            adapter = await get_adapter_impl(NVIDIAConfig(url=nim.url), {})
            measured[name] = await measure(adapter, request)
            await adapter.shutdown()
    return measured


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Count the files that one request runs through.")
    parser.add_argument("--files", action="store_true", help="list them, with the calls into each")
    options = parser.parse_args()
    for name, path in asyncio.run(measure_all()).items():
        print(f"{name:20} {path.files:3} files {path.moves:4} moves {path.calls.total():5} calls")
        for file, calls in sorted(path.calls.items()) if options.files else ():
            print(f"    {calls:5}  {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
