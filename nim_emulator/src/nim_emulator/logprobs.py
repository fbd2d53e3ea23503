"""Made-up but consistent log probabilities.

They depend on the prompt, the place and the token only, so a stream carries the same numbers
as the whole response.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from . import tokenizer
from .generation_request import GenerationRequest, Prompt, seeded_random
from .shapes import Shapes

_TEXT = (
    " the a of to and in is it that for on with as was at by an be this are"
    " from or not but had his they she which you one we all were"
)
_OTHERS = re.findall(" [a-z]+", _TEXT)


def rank(
    request: GenerationRequest, prompt: Prompt, place: int, token: str
) -> tuple[float, list[tuple[str, float]]]:
    """Return the log probability of a token and its best alternatives.

    Args:
        request: The request; ``request.logprobs`` says how many alternatives are wanted.
        prompt: The prompt that is answered.
        place: Position of the token in the response.
        token: The token that was chosen.

    Returns:
        Its log probability, and ``request.logprobs`` pairs of token and log probability, best
        first. The chosen token is among them, unless none are wanted. It is the best at
        temperature 0 and may be the second best otherwise.
    """
    random = seeded_random(request, prompt, "logprobs", place, token)
    best = random.uniform(0.5, 0.95)
    second = (1 - best) * random.uniform(0.5, 0.7)
    chosen_is_second = request.temperature > 0 and random.random() < 0.2
    wanted = request.logprobs or 0
    others = [word for word in random.sample(_OTHERS, len(_OTHERS)) if word != token]
    if chosen_is_second and wanted != 1:
        names = [others[0], token, *others[1:]]
        chosen = second
    else:
        names = [token, *others]
        chosen = best
    odds = [best, second]
    rest = 1 - best - second
    while len(odds) < wanted:
        rest *= 0.5
        odds.append(min(rest, odds[-1]) * 0.99)
    ranked = [(name, _log(p)) for name, p in zip(names, odds, strict=False)]
    return _log(chosen), ranked[:wanted]


def _log(probability: float) -> float:
    return round(math.log(probability), 6)


def _entry(token: str, logprob: float) -> dict[str, Any]:
    return {
        "token": token,
        "logprob": logprob,
        "bytes": list(token.encode("utf-8", "surrogatepass")),
    }


def _own_entry(shapes: Shapes, token: str, logprob: float) -> dict[str, Any]:
    entry = _entry(token, logprob)
    return {**entry, "token_id": tokenizer.token_id(token)} if shapes.token_ids else entry


def chat_logprobs(
    shapes: Shapes,
    request: GenerationRequest,
    prompt: Prompt,
    tokens: Sequence[str],
    start: int = 0,
) -> dict[str, Any] | None:
    """Return ``choices[].logprobs`` of a chat, None when they are off.

    Args:
        shapes: Constant parts of responses.
        request: The request.
        prompt: The prompt that is answered.
        tokens: The tokens to describe.
        start: Place of the first of them in the response.
    """
    if request.logprobs is None:
        return None
    content = []
    for place, token in enumerate(tokens, start):
        chosen, ranked = rank(request, prompt, place, token)
        if shapes.chosen_in_top and not ranked:
            ranked = [(token, chosen)]
        top = [_entry(name, value) for name, value in ranked]
        content.append({**_own_entry(shapes, token, chosen), "top_logprobs": top})
    return {"content": content, **shapes.chat_logprobs}


def completion_logprobs(
    shapes: Shapes,
    request: GenerationRequest,
    prompt: Prompt,
    tokens: Sequence[str],
    start: int = 0,
    offset: int = 0,
    echoed: Sequence[str] = (),
) -> dict[str, Any] | None:
    """Return ``choices[].logprobs`` of a completion, None when they are off.

    Args:
        shapes: Constant parts of responses.
        request: The request.
        prompt: The prompt that is answered.
        tokens: The tokens to describe.
        start: Place of the first of them in the response.
        offset: Characters of text before the first of them.
        echoed: Tokens of the prompt that come before them. The very first has no log
            probability: nothing comes before it.
    """
    if request.logprobs is None:
        return None
    offsets: list[int] = []
    chosen: list[float | None] = []
    top: list[dict[str, float] | None] = []
    places = [*range(-len(echoed), 0), *range(start, start + len(tokens))]
    names = [*echoed, *tokens]
    for number, (place, token) in enumerate(zip(places, names, strict=True)):
        offsets.append(offset)
        offset += len(token)
        if echoed and number == 0:
            chosen.append(None)
            top.append(None)
            continue
        value, ranked = rank(request, prompt, place, token)
        chosen.append(value)
        # vLLM always adds the chosen token to the alternatives.
        top.append({**dict(ranked), token: value})
    if shapes.text_offset != "place":
        offsets = [-1] * len(names) if shapes.text_offset == "unknown" else []
    if request.logprobs == 0 and shapes.chosen_in_top is False:
        top = []
    return {"text_offset": offsets, "token_logprobs": chosen, "tokens": names, "top_logprobs": top}
