"""The changes to an OpenAI-style request, or its answer, on the way through a stack.

Every answer through a stack equals the NIM's own but for what stands here. docs/compatibility.md
shows the same table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cases import CHAT, COMPLETION, EMBEDDINGS

# As ``constraints/`` has them, oldest first.
RELEASES = (
    "0.2.12",
    "0.2.17",
    "0.2.20",
    "0.2.24",
    "0.3.5",
    "0.4.7",
    "0.5.4",
    "0.6.1",
    "0.7.3",
    "ogx-1.0.0",
    "ogx-1.5.0",
)
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as if the NIM had been asked directly.

    Attributes:
        text: What it is, for people.
        first: The first release that does it.
        last: The last one.
        by: Who does it: the server, or the provider.
        paths: On which routes.
        nim: In front of which NIM; empty means each.
        request: Makes of a request's fields those that the NIM gets.
        answer: Makes of what the NIM says what the caller is told; changes it in place.
        refuses: Tells the requests that the server refuses before it calls the provider.
    """

    text: str
    first: str = RELEASES[0]
    last: str = RELEASES[-1]
    by: str = "server"
    paths: Sequence[str] = (CHAT, COMPLETION, EMBEDDINGS)
    nim: str = ""
    request: Callable[[Fields], dict[str, Any]] = dict
    answer: Callable[[dict[str, Any], bool], None] = lambda answer, streamed: None
    refuses: Callable[[Fields], bool] = lambda fields: False

    def holds(self, stack: str, path: str, nim: str) -> bool:
        """Tell whether a release does it on a route, in front of a NIM."""
        place = RELEASES.index(stack)
        within = RELEASES.index(self.first) <= place <= RELEASES.index(self.last)
        return within and path in self.paths and self.nim in ("", nim)

    @property
    def span(self) -> str:
        """The releases, for people."""
        if self.first == self.last:
            return _title(self.first)
        if (self.first, self.last) == (RELEASES[0], RELEASES[-1]):
            return "all"
        return f"{_title(self.first)} to {_title(self.last)}"


def _title(stack: str) -> str:
    return stack.replace("ogx-", "OGX ")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


KNOWN_BEFORE_0_3 = {
    CHAT: _names(
        "messages frequency_penalty function_call functions logit_bias logprobs "
        "max_completion_tokens max_tokens n parallel_tool_calls presence_penalty response_format "
        "seed stop stream_options temperature tool_choice tools top_logprobs top_p user"
    ),
    COMPLETION: _names(
        "prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty "
        "seed stop stream_options temperature top_p user guided_choice prompt_logprobs suffix"
    ),
    EMBEDDINGS: _names("input encoding_format dimensions user"),
}


def _known(path: str) -> Callable[[Fields], dict[str, Any]]:
    def known(fields: Fields) -> dict[str, Any]:
        return {name: fields[name] for name in fields if name in KNOWN_BEFORE_0_3[path]}

    return known


def _without_tools(fields: Fields) -> dict[str, Any]:
    if fields.get("tool_choice") != "none":
        return dict(fields)
    return {name: fields[name] for name in fields if name not in ("tools", "tool_choice")}


def _strict_tools(fields: Fields) -> dict[str, Any]:
    if fields.get("tool_choice") in (None, "auto", "none"):
        return dict(fields)
    tools = [{**tool, "function": {"strict": True, **tool["function"]}} for tool in fields["tools"]]
    return {**fields, "tools": tools}


def _one_name_of_reasoning(answer: dict[str, Any], streamed: bool) -> None:
    for choice in answer["choices"].values():
        if choice.get("reasoning"):
            choice["reasoning_content"], choice["reasoning"] = choice["reasoning"], ""


def _no_alternatives(answer: dict[str, Any], streamed: bool) -> None:
    for choice in answer["choices"].values() if streamed else ():
        for token in (choice.get("logprobs") or {}).get("content") or ():
            if not token.get("top_logprobs"):
                token.pop("top_logprobs", None)


def _counts_of_a_prompt(answer: dict[str, Any], streamed: bool) -> None:
    answer["usage"].pop("completion_tokens", None)


def _is_number_above_1(fields: Fields) -> bool:
    return (fields.get("logprobs") or 0) > 1


def _is_tokens(fields: Fields) -> bool:
    given = fields["input"]
    return isinstance(given, list) and not isinstance(given[0], str)


DIFFERENCES = [
    Difference(
        "`model` in the answer is the name that the caller used; in a streamed completion up to "
        "OGX 1.0 it may be the NIM's own",
    ),
    Difference("there is no `data: [DONE]` at the end of a stream"),
    Difference(
        "`tool_choice: none` takes the tools out of the request",
        paths=(CHAT,),
        request=_without_tools,
    ),
    *(
        Difference(
            f"fields that the server does not know never reach the provider: in a {what}, all but "
            + " ".join(f"`{name}`" for name in sorted(KNOWN_BEFORE_0_3[path])),
            last="0.2.24",
            paths=(path,),
            request=_known(path),
        )
        for what, path in (("chat", CHAT), ("completion", COMPLETION), ("embedding", EMBEDDINGS))
    ),
    Difference(
        "a completion with `logprobs` above 1 is refused: the server takes it for true or false",
        last="0.7.3",
        paths=(COMPLETION,),
        refuses=_is_number_above_1,
    ),
    Difference(
        "embeddings of tokens are refused: the server takes texts alone",
        last="0.4.7",
        paths=(EMBEDDINGS,),
        refuses=_is_tokens,
    ),
    Difference(
        "an empty `top_logprobs` of a streamed chat becomes null",
        first="0.4.7",
        paths=(CHAT,),
        answer=_no_alternatives,
    ),
    Difference(
        "a forced tool is marked `strict`: vLLM and SGLang then keep its arguments to their schema",
        by="provider",
        paths=(CHAT,),
        nim="nim2",
        request=_strict_tools,
    ),
    Difference(
        "reasoning is in `reasoning_content`, also where the NIM calls it `reasoning`",
        by="provider",
        paths=(CHAT,),
        nim="nim2",
        answer=_one_name_of_reasoning,
    ),
    Difference(
        "the fragments of streamed tool calls have an `index` where NIM 1.x leaves it out",
        by="provider",
        paths=(CHAT,),
        nim="nim1",
    ),
    Difference(
        "`usage` of embeddings has `prompt_tokens` and `total_tokens` alone",
        by="provider",
        paths=(EMBEDDINGS,),
        answer=_counts_of_a_prompt,
    ),
]


def holding(stack: str, path: str, nim: str) -> list[Difference]:
    """The differences of a release on a route, in front of ``nim1`` or ``nim2``."""
    return [item for item in DIFFERENCES if item.holds(stack, path, nim)]


def table() -> str:
    """The table of docs/compatibility.md."""
    rows = [f"| {item.span} | {item.by} | {item.text} |" for item in DIFFERENCES]
    return "\n".join(["| releases | by | what differs |", "|---|---|---|", *rows])
