"""Extract facts from a text as a pydantic object, whose schema the NIM enforces.

    python examples/extraction.py

The schema is enforced during generation, so the response can be parsed without a check.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field

from stack import chat_model, openai_client

TEXT = (
    "Ada Lovelace was 36 when she died in London. She spoke English and French, "
    "and is known as a mathematician."
)


class Person(BaseModel):
    """The facts to extract from the text."""

    name: str
    age: int = Field(ge=0, le=120)
    languages: list[str] = Field(min_length=1, max_length=5)
    field: Literal["mathematics", "physics", "poetry"]


def main() -> None:
    """Extract a person."""
    response_format: Any = {
        "type": "json_schema",
        "json_schema": {"name": "person", "schema": Person.model_json_schema(), "strict": True},
    }
    answer = openai_client().chat.completions.create(
        model=chat_model(),
        messages=[
            {"role": "system", "content": "Extract the person from the text."},
            {"role": "user", "content": TEXT},
        ],
        response_format=response_format,
        temperature=0,
        max_tokens=300,
    )
    person = Person.model_validate_json(answer.choices[0].message.content or "")
    print(f"name      {person.name}")
    print(f"age       {person.age}")
    print(f"languages {', '.join(person.languages)}")
    print(f"field     {person.field}")


if __name__ == "__main__":
    main()
