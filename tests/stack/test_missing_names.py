"""A name that a release drops breaks the calls that need it, and nothing else."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llama_stack_provider_nvidia.stack import imports
from nim_emulator import EmulatorServer
from scripts.stack_server import ROOT

from .calls import EMBEDDER, LLM, RERANKER

NOTHING = "-"
CHATS = {
    "chat",
    "chat, history",
    "chat, items",
    "chat, tools",
    "chat, log probabilities",
    "chat, top_p",
    "chat, top_k",
    "chat, prompt format",
    "chat, defaults",
    "batch of chats",
}
STREAMED_CHATS = {"chat, streamed", "chat, tools, streamed"}
TOOLS = {"chat, tools", "chat, tools, streamed"}
COMPLETIONS = {"completion", "completion, streamed", "batch of completions"}

NEEDED_BY: dict[str, set[str]] = {
    "AdapterSpec": {"provider spec"},
    "AnthropicCountTokensResponse": {"count of tokens"},
    "AnthropicCreateMessageRequest": {"count of tokens"},
    "Api": {"provider spec"},
    # The error is then known to servers by its status alone.
    "AuthenticationRequiredError": set(),
    "BatchChatCompletionResponse": {"batch of chats"},
    "BatchCompletionResponse": {"batch of completions"},
    "ChatCompletionRequest": CHATS | STREAMED_CHATS,
    "ChatCompletionResponse": CHATS,
    "ChatCompletionResponseEvent": STREAMED_CHATS,
    "ChatCompletionResponseStreamChunk": STREAMED_CHATS,
    "CompletionMessage": CHATS,
    "CompletionRequest": COMPLETIONS,
    "CompletionResponse": COMPLETIONS - {"completion, streamed"},
    "CompletionResponseStreamChunk": {"completion, streamed"},
    "EmbeddingsResponse": {"embeddings"},
    "GreedySamplingStrategy": CHATS | STREAMED_CHATS | COMPLETIONS,
    "HealthStatus": {"health"},
    "ImageContentItem": {"chat, items"},
    "Model": {"list models"},
    "ModelType": {"list models"},
    # The server's own key must not stand in for one that a request brought.
    "NeedsRequestProviderData": {"openai chat in a server"},
    "OpenAIChatCompletionChunkWithReasoning": {"reasoning, streamed"},
    "OpenAIChatCompletionWithReasoning": {"reasoning"},
    "OpenAITokenLogProb": {"openai chat, log probabilities"},
    "OpenAITopLogProb": {"openai chat, log probabilities"},
    "PROVIDER_DATA_VAR": {"register unknown"},
    # The calls that only some protocols have are not joined.
    "Protocol": set(),
    "Provider": {"run.yaml keys"},
    "RemoteProviderSpec": {"provider spec"},
    # Classes of our own stand in.
    "RerankData": set(),
    "RerankResponse": set(),
    "ResourceNotFoundError": set(),
    "RunConfig": {"run.yaml keys"},
    "SamplingParams": {"chat, defaults"},
    "ServerConfig": {"run.yaml keys"},
    "StopReason": CHATS | STREAMED_CHATS | COMPLETIONS,
    "SystemMessage": {"chat, history"},
    "SystemMessageBehavior": TOOLS,
    "TextContentItem": {"chat, items"},
    "TextDelta": CHATS | STREAMED_CHATS,
    "TokenLogProbs": {"chat, log probabilities"},
    "ToolCall": TOOLS,
    "ToolCallDelta": TOOLS,
    "ToolCallParseStatus": TOOLS,
    "ToolConfig": {"chat, prompt format"},
    "ToolPromptFormat": CHATS | STREAMED_CHATS,
    "ToolResponseMessage": {"chat, history"},
    "TopKSamplingStrategy": {"chat, top_k"},
    "TopPSamplingStrategy": {"chat, top_p", "chat, top_k"},
    "UserMessage": CHATS | STREAMED_CHATS,
    "remote_provider_spec": {"provider spec"},
}
NAMES = [NOTHING, *(name for name in imports.LOCATIONS if imports.find(name) is not None)]
# Each batch starts a process, and waits for as many names as a test has time for.
BATCHES = [NAMES[first : first + 8] for first in range(0, len(NAMES), 8)]

Outcomes = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """The outcome of each call without a name."""
    with EmulatorServer(models=[LLM, EMBEDDER, RERANKER], tokens_per_second=2000) as nim:

        @functools.cache
        def run(batch: int) -> dict[str, dict[str, str]]:
            file = tmp_path_factory.mktemp("calls") / "outcomes.json"
            command = [sys.executable, "-m", "tests.stack.calls", nim.url, str(file)]
            subprocess.run(
                [*command, *BATCHES[batch]], cwd=ROOT, check=True, capture_output=True, timeout=170
            )
            return dict(json.loads(Path(file).read_text()))

        yield lambda name: run(NAMES.index(name) // 8)[name]


def test_the_table_has_every_name() -> None:
    assert NEEDED_BY.keys() == imports.LOCATIONS.keys()


def test_every_call_works_where_nothing_is_missing(outcomes: Outcomes) -> None:
    told = outcomes(NOTHING)
    assert set(told.values()) == {"ok"}
    assert ("chat" in told, "reasoning" in told, "message" in told) == (
        imports.NATIVE,
        imports.REASONING,
        imports.ANTHROPIC,
    )
    assert not imports.NATIVE or told.keys() >= CHATS | STREAMED_CHATS | COMPLETIONS


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_missing_name_breaks_the_calls_that_need_it(outcomes: Outcomes, name: str) -> None:
    told, all_calls = outcomes(name), outcomes(NOTHING)
    if name == "Protocol":
        in_every_release = ("openai", "rerank", "list", "health", "register", "provider", "run")
        assert {call for call in all_calls if call.startswith(in_every_release)} <= told.keys()
    else:
        assert told.keys() == all_calls.keys()
    failed = {call: outcome for call, outcome in told.items() if outcome != "ok"}
    assert failed.keys() == NEEDED_BY[name] & told.keys()
    missing = " or ".join(imports.LOCATIONS[name].names)
    for outcome in failed.values():
        assert outcome.startswith(
            f"MissingNameError: {imports.installed_release()} does not have {missing} (looked for"
        )
        assert "Update llama-stack-provider-nvidia, or install a release" in outcome
