"""Rows of the models for one task, of any maker: safety, rewards, documents, completion."""

from .profile import NEVER, Family
from .rows import CARDS, LANGCHAIN, SCHEMAS, row

FAMILIES: tuple[Family, ...] = (
    row(
        r"llama-guard-(4|3-11b-vision)",
        "Llama Guard (images)",
        task="safety",
        vision=True,
        tools=False,
        reasoning=NEVER,
        source=CARDS,
    ),
    row(
        r"nemotron-3([._]5)?-content-safety",
        "Nemotron content safety (images)",
        task="safety",
        vision=True,
        tools=False,
        source=f"{SCHEMAS}; NIM 2.1.5 release notes",
    ),
    row(
        r"guard|content-safety|topic-control|shieldgemma",
        "safety models",
        task="safety",
        vision=False,
        tools=False,
        source="NIM documentation of the safety models; model cards",
    ),
    row(r"reward", "reward models", task="reward", tools=False, reasoning=NEVER, source=CARDS),
    row(
        r"(nemotron|nemoretriever)-parse",
        "document parsers",
        task="document",
        vision=True,
        tools=False,
        reasoning=NEVER,
        source="NIM documentation of nemotron-parse",
    ),
    row(
        r"starcoder|-minitron-8b-base",
        "completion models",
        task="completion",
        vision=False,
        tools=False,
        reasoning=NEVER,
        source=f"{LANGCHAIN}; NIM 2.1.5 release notes",
    ),
)
