"""The command ``llama-stack-nvidia rerank``, also for releases whose server cannot rerank."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .common import endpoint_of

if TYPE_CHECKING:
    from ..nim.retrieval.rerank import Ranked

EXAMPLES = (
    "llama-stack-nvidia rerank --url http://localhost:8000 --model "
    "nvidia/llama-nemotron-rerank-1b-v2 --query 'moons of mars' 'Mars has two moons.' 'The sea.'",
    "cat texts.txt | llama-stack-nvidia rerank --model nvidia/llama-nemotron-rerank-1b-v2 "
    "--query 'moons of mars' --top 3 -",
)


def rerank(
    model: Annotated[str, typer.Option(help="The NIM's id of the rerank model.")],
    query: Annotated[str, typer.Option(help="What to order by.")],
    text: Annotated[
        list[str],
        typer.Argument(help="Texts to order; - reads them from standard input, one per line."),
    ],
    url: Annotated[
        str | None,
        typer.Option(help="Address of the NIM; NVIDIA_BASE_URL or the hosted catalogue if unset."),
    ] = None,
    route: Annotated[
        str | None, typer.Option(help="Full URL of the model, where it is not at that address.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="How many to print.")] = None,
    truncate: Annotated[
        str | None, typer.Option(help="What becomes of texts that are too long: NONE or END.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Order texts by their relevance to a query: score, number and text, the best first.

    The key is read from NVIDIA_API_KEY.
    """
    import asyncio
    import json

    from ..config import NVIDIAConfig
    from ..nim.errors import NIMError
    from ..nim.retrieval.contents import Content
    from ..nim.retrieval.ranker import Ranker, RerankSettings
    from ..nim.retrieval.rerank import RerankRequest

    texts = _texts(text)
    try:
        given = {
            "rerank_truncate": truncate,
            "rerank_model_to_url": {model: route} if route else {},
        }
        config = NVIDIAConfig.model_validate(given)
    except ValueError:
        raise typer.BadParameter("--truncate is NONE or END, and --route an http address") from None
    ranker = Ranker(
        RerankSettings(urls=config.rerank_model_to_url, truncate=config.rerank_truncate)
    )

    async def run() -> list[Ranked]:
        endpoint = endpoint_of(url)
        try:
            passages = [Content(one) for one in texts]
            request = RerankRequest(model, Content(query), passages, top)
            return await ranker.rank(endpoint, request, key=None)
        finally:
            await endpoint.aclose()

    try:
        ranked = asyncio.run(run())
    except NIMError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        rows = [
            {"index": one.passage, "score": one.score, "text": texts[one.passage]} for one in ranked
        ]
        typer.echo(json.dumps(rows))
        return
    for one in ranked:
        typer.echo(f"{one.score:10.4f}  {one.passage:4}  {texts[one.passage]}")


def _texts(given: list[str]) -> list[str]:
    if given != ["-"]:
        return given
    return [line for line in sys.stdin.read().splitlines() if line.strip()]
