"""Write docs/errors.md from the tables of errors: `python -m scripts.error_reference`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from llama_stack_provider_nvidia.nim.error_table import CAUSES, Cause, When
from llama_stack_provider_nvidia.nim.transport.retry import RETRIED_STATUSES
from llama_stack_provider_nvidia.statuses import SERVERS, Server

TARGET = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

HEAD = """\
# Errors

An error's text says what happened and what to do, and names the model, the endpoint and, where the
NIM gave one, the request id:

```text
NIM answered 503: ResourceExhausted: Worker local total request limit reached (32/32). The NIM is
overloaded: try again, or lower the load. (model meta/llama-3.1-8b-instruct, endpoint
http://localhost:8000/v1, request id 3f6c1f0e-...)
```

Keys are never in it: what looks like one in a NIM's own words becomes `***`. Look for a part of
your text in [the table](#causes), or have the NIM looked at: `llama-stack-nvidia doctor`.

This page is written by `python -m scripts.error_reference` from `nim/error_table.py` and
`statuses.py`. `tests/matrix/test_error_table.py` brings about each row on a server of each release,
with OpenAI's client and the release's own.

## Where a client finds it

A whole answer that fails has an HTTP status and the text in its body: under `detail` up to 0.4,
under `error` from 0.5 on. Clients raise it: OpenAI's `openai.APIStatusError`, Llama Stack's
`llama_stack_client.APIStatusError`, OGX's `ogx_client.exceptions.ApiException`; each has
`status_code`.

A stream can fail before its first event or after it. Servers up to 0.4 have said 200 by then in
both cases; later ones give a stream that fails before it begins the same status as a whole answer.
In the middle, the error is the last event. OpenAI's client raises `openai.APIError` for it. The
releases' own clients differ, and some raise nothing: **look at each chunk for `error`**.

"""

EVENTS = """
An event has the status as a number, or at the start of its text. OGX 1.5 leaves out the text of an
error in the middle of a stream if its status is 5xx; servers up to 0.2.24 leave out the text of
each error that they have no status for, and say 500. The NIM's words are then in the server's log.

Native streams of 0.2 (`inference.chat_completion`) end in the same event. A stream that just stops,
without an error and without a stop reason, was stopped by the server or a proxy and not by this
provider.

"""

RETRIES = f"""
## What is tried again

A request is sent again while nothing of its answer has come, if the connection failed (but for a
certificate that is not trusted) or the NIM answered one of
{", ".join(map(str, sorted(RETRIED_STATUSES)))}.
`x-should-retry` and `Retry-After` of the answer are obeyed. The table says which causes these are.
[`max_retries` and `retry_timeout`](configuration.md) limit it, and the text then says how often it
was tried. A NIM that takes long is not asked twice: it is still at work on the first request.
Clients try again, too: set their `max_retries` to 0, or the numbers multiply.

## The request id

It is what the NIM calls the request, for its operator to find it in the log: the header
`nvcf-reqid` of the hosted catalogue, `x-dynamo-request-id` of Dynamo, else `x-request-id`. Without
an answer there is none.

## Causes

*Error* is the class in Python, from `llama_stack_provider_nvidia.nim.errors`. The numbers are the
HTTP status that a client of each release sees. *In a stream* says when it comes; in the middle it
is an event with that status. A model that the *stack* does not know is refused by the stack itself,
with 404 (400 up to 0.2.17), before the provider is asked.

"""


def reference() -> str:
    """The whole page."""
    return "".join([HEAD, clients(), EVENTS.lstrip("\n"), RETRIES.lstrip("\n"), causes()])


def clients() -> str:
    """A table of how streams fail."""
    rows = ["| release | before the first event | an event | the release's own client |"]
    rows.append("|---|---|---|---|")
    alike = groupby(
        SERVERS, lambda one: (one.refuses_streams, one.event, one.own_client, one.hides_late)
    )
    for (refuses, event, own, _), servers in alike:
        names = [server.releases for server in servers]
        shown = ", ".join(names)
        if len(names) > 2:
            shown = f"{names[0].partition(' ')[0]} to {names[-1].rpartition(' ')[2]}"
        first = "the status" if refuses else "200 and an event"
        rows.append(f"| {shown} | {first} | `{event}` | {own} |")
    return "\n".join(rows) + "\n\n"


def causes() -> str:
    """The table of causes."""
    groups = {name: list(of) for name, of in groupby(SERVERS, lambda one: one.group)}
    heads = [
        "what happened",
        "the text has",
        "error",
        *groups,
        "in a stream",
        "tried again",
        "what to do",
    ]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for cause in CAUSES:
        statuses = [status(cause, servers) for servers in groups.values()]
        cells = [
            cause.title,
            words(cause.says),
            f"`{cause.kind.__name__}`" if cause.kind else "none",
            *statuses,
            stream(cause),
            "yes" if cause.retried else "no",
            cause.remedy,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def words(pattern: str) -> str:
    """What a regular expression of the table looks for, as people would search for it."""
    plain = [part.lstrip("^").replace(r"\S+", "...").strip() for part in pattern.split("|")]
    return " or ".join(f"`{part}`" for part in plain if part and not re.search(r"[\\(\[]", part))


def status(cause: Cause, servers: Sequence[Server]) -> str:
    """The status in one column: where it changes, with the release from which it is so."""
    parts: list[str] = []
    for number, of in groupby(servers, lambda server: server.status(cause)):
        if number is None:
            return "none"
        since = next(of).releases.partition(" to ")[0].partition(" and ")[0]
        parts.append(f"from {since} {number}" if parts else str(number))
    return ", ".join(parts)


def stream(cause: Cause) -> str:
    """When it comes in a stream."""
    if cause.when is When.NEVER:
        return str(cause.when)
    return f"{cause.when}" if cause.whole else f"{cause.when}; not in whole answers"


if __name__ == "__main__":
    TARGET.write_text(reference())
