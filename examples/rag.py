"""RAG: embed passages, search them, rerank the results, and generate from them.

    python examples/rag.py

Llama Stack 0.7 and OGX rerank; 0.2.x has no route for it, so the order of the search is kept. A
server of 0.2.x also drops `input_type`: docs/embeddings.md has a workaround.
"""

import httpx
from openai import OpenAI

from stack import URL, chat_model, named, offered, openai_client

EMBEDDER = "nvidia/nv-embedqa-e5-v5"
RERANKER = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
QUESTION = "How many moons does Mars have?"
PASSAGES = [
    "Jupiter has 95 moons that are known; the four largest were seen by Galileo.",
    "Mars has two moons, Phobos and Deimos, both small and dark.",
    "The sea is deepest in the Mariana Trench.",
    "A day on Mars is 37 minutes longer than one on Earth.",
    "Moons are round when they are large enough.",
]


def embed(client: OpenAI, texts: list[str], input_type: str) -> list[list[float]]:
    """Vectors of texts; retrieval models want to know queries from passages."""
    answer = client.embeddings.create(
        model=named(EMBEDDER), input=texts, extra_body={"input_type": input_type}
    )
    return [entry.embedding for entry in answer.data]


def search(client: OpenAI, question: str, passages: list[str], most: int) -> list[str]:
    """The passages that are nearest to the question, the nearest first."""
    (wanted,) = embed(client, [question], "query")
    vectors = embed(client, passages, "passage")
    # The vectors have a length of 1: the product is the cosine.
    nearness = [sum(a * b for a, b in zip(wanted, vector, strict=True)) for vector in vectors]
    order = sorted(range(len(passages)), key=lambda place: -nearness[place])
    for place in order[:most]:
        print(f"{nearness[place]:7.3f} {passages[place]}")
    return [passages[place] for place in order[:most]]


def rerank(question: str, passages: list[str], most: int) -> list[str]:
    """The best of the passages by a model that reads each with the question."""
    model = offered(RERANKER)
    if not model:
        print("This server offers no model that ranks.")
        return passages[:most]
    body = {"model": model, "query": question, "items": passages, "max_num_results": most}
    answer = httpx.post(f"{URL}/v1alpha/inference/rerank", json=body, timeout=60)
    ranked = answer.raise_for_status().json()["data"]
    for entry in ranked:
        print(f"{entry['relevance_score']:7.3f} {passages[entry['index']]}")
    return [passages[entry["index"]] for entry in ranked]


def main() -> None:
    """Answer a question from the passages."""
    client = openai_client()
    print("Found:")
    found = search(client, QUESTION, PASSAGES, 3)
    print("Ranked:")
    best = rerank(QUESTION, found, 1)
    prompt = f"{best[0]}\n\nWith this, answer: {QUESTION}"
    answer = client.chat.completions.create(
        model=chat_model(), messages=[{"role": "user", "content": prompt}], max_tokens=100
    )
    print(f"Answer: {answer.choices[0].message.content}")


if __name__ == "__main__":
    main()
