"""The command ``llama-stack-nvidia rerank``: order texts by their relevance to a query."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import USAGE, busy, give_up
from .targets import TargetError, contexts_of, read_config

if TYPE_CHECKING:
    from ..nim.retrieval.rerank_request import RankedPassage

EXAMPLES = (
    "llama-stack-nvidia rerank --url http://localhost:8000 --model "
    "nvidia/llama-nemotron-rerank-1b-v2 --query 'moons of mars' 'Mars has two moons.' 'The sea.'",
    "cat texts.txt | llama-stack-nvidia rerank --model nvidia/llama-nemotron-rerank-1b-v2 "
    "--query 'moons of mars' --top 3 -",
)


def rerank(
    model: Annotated[str, typer.Option(help="The NIM's id of the rerank model.")],
    query: Annotated[str, typer.Option(help="The query.")],
    text: Annotated[
        list[str],
        typer.Argument(help="Texts to order; - reads them from standard input, one per line."),
    ],
    url: Annotated[
        str | None,
        typer.Option(
            help="Address of the NIM. Default: NVIDIA_BASE_URL, else the hosted catalogue."
        ),
    ] = None,
    route: Annotated[
        str | None, typer.Option(help="Full URL of the model, if it is not at that address.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Number of texts to print.")] = None,
    truncate: Annotated[
        str | None,
        typer.Option(help="For texts that are too long: NONE is an error, END cuts them."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Order texts by their relevance to a query.

    Prints score, number and text, the best first. Works with every release, also those whose
    server cannot rerank. The key is read from NVIDIA_API_KEY.
    """
    texts = _texts(text)
    with busy("Ranking"):
        settings = {
            "rerank_truncate": truncate,
            "rerank_model_to_url": {model: route} if route else {},
        }
        ranked = _rank(settings, url, model, query, texts, top)
    if as_json:
        rows = [
            {"index": one.passage, "score": one.score, "text": texts[one.passage]} for one in ranked
        ]
        import json

        typer.echo(json.dumps(rows))
        return
    for one in ranked:
        typer.echo(f"{one.score:10.4f}  {one.passage:4}  {texts[one.passage]}")


def _rank(
    settings: dict[str, Any],
    url: str | None,
    model: str,
    query: str,
    texts: list[str],
    top: int | None,
) -> list[RankedPassage]:
    """Ask the NIM.

    Raises:
        typer.Exit: It failed; it has been said why.
    """
    import asyncio

    from ..nim.errors import NIMError
    from ..nim.retrieval.content import Content
    from ..nim.retrieval.rerank_request import RerankRequest
    from ..nim.retrieval.reranker import Reranker, RerankSettings

    try:
        config = read_config(url, settings)
    except TargetError as error:
        text = str(error)
        for name, option in (("rerank_truncate", "--truncate"), ("rerank_model_to_url", "--route")):
            text = text.replace(name, option, 1)
        give_up(text, USAGE)
    ranker = Reranker(
        RerankSettings(urls=config.rerank_model_to_url, truncate=config.rerank_truncate)
    )

    async def run() -> list[RankedPassage]:
        endpoint = contexts_of(config)[0].endpoint
        try:
            passages = [Content(one) for one in texts]
            request = RerankRequest(model, Content(query), passages, top)
            return await ranker.rank(endpoint, request, key=None)
        finally:
            await endpoint.aclose()

    try:
        return asyncio.run(run())
    except NIMError as error:
        give_up(str(error))


def _texts(given: list[str]) -> list[str]:
    if given != ["-"]:
        return given
    return [line for line in sys.stdin.read().splitlines() if line.strip()]
