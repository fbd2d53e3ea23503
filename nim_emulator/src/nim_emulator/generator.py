"""The text generator: the same request gets the same tokens, every time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from . import tokenizer
from .constrained_output import Constraint, UnsatisfiableError, constrained_text, dump
from .dialect import Dialect
from .errors import RefusalError
from .generation_request import (
    Choice,
    GeneratedToolCall,
    GenerationRequest,
    Prompt,
    digest,
    seeded_random,
)
from .tool_caller import decide_calls

_COUNT = re.compile(r"\bcount to (\d+)", re.IGNORECASE)
_OPENINGS = (
    "Here is a short answer.",
    "Thank you for the message.",
    "Let me take that one step at a time.",
    "Good question.",
    "That is worth a few words.",
    "I have read it with care.",
    "To be brief about it:",
    "This is how I see it.",
)
_CLOSINGS = (
    "There is nothing more to add for now.",
    "Please ask again if anything is unclear.",
    "I hope this is of some help.",
    "The rest depends on what you need.",
    "That covers the main point.",
    "More detail is only a question away.",
    "It all follows from what you wrote.",
    "I would start from there.",
)
_FILLER = (
    " The matter has more sides than one, and each of them deserves a closer look.",
    " Some details are plain, others only show after a while.",
    " It helps to write things down and to read them again the next day.",
    " A small example often says more than a long rule.",
)
_THINKING = "The user wants an answer about: {}. I should keep it short and say what I know."
_QUOTED_WORDS = 12
_QUOTED_CHARS = 200


def generate(dialect: Dialect, request: GenerationRequest) -> list[Choice]:
    """Generate the choices of a request.

    Args:
        dialect: The NIM's generation.
        request: The request.

    Returns:
        ``request.n`` choices per prompt, in the order of their indexes.

    Raises:
        RefusalError: A constraint or a tool's schema cannot be satisfied.
    """
    return [
        _choose(dialect, request, prompt, place * request.n + sample, sample)
        for place, prompt in enumerate(request.prompts)
        for sample in range(request.n)
    ]


def _choose(
    dialect: Dialect, request: GenerationRequest, prompt: Prompt, index: int, sample: int
) -> Choice:
    choice = Choice(prompt, index)
    if request.reasoning_budget != 0:
        limit = (
            request.max_tokens
            if request.reasoning_budget is None
            else min(request.reasoning_budget, request.max_tokens)
        )
        reasoning = tokenizer.tokenize(_THINKING.format(_quote(prompt.text)))
        choice.reasoning = reasoning[:limit]
        choice.completion_tokens = len(choice.reasoning)
    _write_choice(dialect, request, choice, sample)
    if request.reasoning_in_content and choice.reasoning:
        choice.tokens = ["<think>", *choice.reasoning, "</think>", *choice.tokens]
        choice.reasoning = []
    return choice


def _write_choice(
    dialect: Dialect, request: GenerationRequest, choice: Choice, sample: int
) -> None:
    prompt = choice.prompt
    calls = decide_calls(request, prompt, sample)
    if calls:
        _write_calls(dialect, request, choice, calls, sample)
        return
    if request.constraint is not None:
        text = _constrained(dialect, request, request.constraint, prompt, sample)
        _write(request, choice, tokenizer.tokenize(text), ())
    else:
        _write(
            request,
            choice,
            tokenizer.tokenize_segments(_segments(request, prompt, sample)),
            _filler(request, prompt),
        )


def _constrained(
    dialect: Dialect,
    request: GenerationRequest,
    constraint: Constraint,
    prompt: Prompt,
    sample: int,
) -> str:
    random = seeded_random(request, prompt, "constraint", sample)
    try:
        return constrained_text(constraint, prompt.text, random, lark=dialect.lark_grammars)
    except UnsatisfiableError as error:
        raise RefusalError(
            f"Invalid {constraint.kind} constraint: {error}.", rule="constraint"
        ) from None


def _write_calls(
    dialect: Dialect,
    request: GenerationRequest,
    choice: Choice,
    calls: list[tuple[str, dict[str, object]]],
    sample: int,
) -> None:
    """Put calls into a choice; ``max_tokens`` cuts the arguments short, as generation would."""
    choice.finish_reason = (
        dialect.shapes.named_finish if request.tool_choice == "named" else "tool_calls"
    )
    for number, (name, arguments) in enumerate(calls):
        room = request.max_tokens - choice.completion_tokens - tokenizer.count(name)
        if room <= 0:
            choice.finish_reason = "length"
            choice.completion_tokens = request.max_tokens
            return
        pieces = tokenizer.tokenize(dump(arguments))
        seed = request.seed if request.temperature > 0 else None
        call_id = digest(choice.prompt.key, seed, sample, number, name)
        call_id = call_id[: dialect.shapes.tool_id_digits]
        choice.calls.append(
            GeneratedToolCall(
                f"{dialect.shapes.tool_id}{call_id}",
                name,
                tuple(pieces[:room]),
                empty=not arguments,
                complete=len(pieces) <= room,
            )
        )
        choice.completion_tokens += tokenizer.count(name) + min(len(pieces), room)
        if len(pieces) > room:
            choice.finish_reason = "length"
            return


def _write(
    request: GenerationRequest, choice: Choice, body: Iterable[str], filler: Iterable[str]
) -> None:
    """Write tokens into a choice until something ends it: the text, a stop, or the limit."""
    room = request.max_tokens - choice.completion_tokens
    # A constrained text ends where its form is complete, whatever else is asked.
    ends = iter(body) if not filler else chain(body, _stretch(request, choice, filler))
    longest_stop = max(map(len, request.stop), default=0)
    tail = ""
    choice.finish_reason = "stop"
    for token in ends:
        if room <= 0:
            choice.finish_reason = "length"
            return
        room -= 1
        choice.completion_tokens += 1
        choice.tokens.append(token)
        if choice.completion_tokens <= request.min_tokens:
            continue
        if request.stop_token_ids and tokenizer.token_id(token) in request.stop_token_ids:
            choice.stop_reason = tokenizer.token_id(token)
            choice.tokens.pop()
            return
        if request.stop:
            tail = tail[-(longest_stop - 1) :] + token if longest_stop > 1 else token
            if _stopped(request, choice, tail):
                return


def _stopped(request: GenerationRequest, choice: Choice, tail: str) -> bool:
    """End the choice when the end of its text holds a stop string."""
    hits = [(tail.find(stop), stop) for stop in request.stop]
    found = min((hit for hit in hits if hit[0] >= 0), default=None)
    if found is None:
        return False
    place, stop = found
    keep = place + (len(stop) if request.include_stop else 0)
    surplus = len(tail) - keep
    while surplus > 0:
        last = choice.tokens.pop()
        if len(last) > surplus:
            choice.tokens.append(last[:-surplus])
        surplus -= len(last)
    choice.stop_reason = stop
    return True


def _stretch(request: GenerationRequest, choice: Choice, filler: Iterable[str]) -> Iterator[str]:
    """Yield more tokens after the natural end while the request wants more."""
    for token in filler:
        if not request.ignore_eos and choice.completion_tokens >= request.min_tokens:
            return
        yield token


def _filler(request: GenerationRequest, prompt: Prompt) -> Iterator[str]:
    random = seeded_random(request, prompt, "filler")
    while True:
        yield from tokenizer.tokenize(random.choice(_FILLER))


def _segments(request: GenerationRequest, prompt: Prompt, sample: int) -> Iterator[str]:
    """Yield the natural text in segments, see :func:`~.tokenizer.tokenize_segments`."""
    counting = _COUNT.search(prompt.text)
    if counting and not prompt.tool_results:
        number = int(counting.group(1)[:9])
        for i in range(1, number + 1):
            yield str(i) if i == 1 else f" {i}"
        return
    # The walk visits all pairs of opening and closing before it repeats one.
    walk = seeded_random(request, prompt, "phrases").randrange(64) + sample
    opening = _OPENINGS[walk % 8]
    closing = _CLOSINGS[(walk // 8 + walk) % 8]
    # A completion goes on from its prompt, so it starts with a space.
    voice = f"This is {prompt.adapter}. " if prompt.adapter else ""
    yield f"{'' if request.chat else ' '}{voice}{opening} {_statement(prompt)} {closing}"


def _statement(prompt: Prompt) -> str:
    if prompt.tool_results:
        return " ".join(f'The tool answered: "{_quote(item)}".' for item in prompt.tool_results)
    said = f'You wrote: "{_quote(prompt.text)}".'
    if prompt.images:
        word = "image" if len(prompt.images) == 1 else "images"
        said += f" I see {len(prompt.images)} {word}: {', '.join(prompt.images)}."
    return said


def _quote(text: str) -> str:
    words = text[: 4 * _QUOTED_CHARS].split()
    quote = " ".join(words[:_QUOTED_WORDS])[:_QUOTED_CHARS]
    return quote + " ..." if len(words) > _QUOTED_WORDS else quote
