"""Constrained answers over HTTP: JSON, regular expressions, choices and grammars."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from openai import OpenAI
from pydantic import BaseModel

from helpers import MODEL, Post, content, error, events
from nim_emulator import EmulatorServer

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "city": {"type": "string"},
    },
    "required": ["name", "age", "city"],
    "additionalProperties": False,
}


def fields(nim: EmulatorServer, kind: str, value: Any, **more: Any) -> dict[str, Any]:
    """Return the fields that carry a constraint in the dialect of the server."""
    if nim.settings.dialect == "nim1":
        return {"nvext": {f"guided_{kind}": value, **{f"guided_{k}": v for k, v in more.items()}}}
    return {"structured_outputs": {kind: value, **more}}


def test_json_uses_what_the_text_names(nim: EmulatorServer, chat: Post, complete: Post) -> None:
    said = "Her name is Ada Lovelace, she is 36 and lives in London"
    expected = {"name": "Ada Lovelace", "age": 36, "city": "London"}
    constraint = fields(nim, "json", PERSON)
    assert json.loads(content(chat(nim, said, **constraint))) == expected
    text = complete(nim, said, max_tokens=99, **constraint).json()["choices"][0]["text"]
    assert json.loads(text) == expected
    chunks = events(chat(nim, said, stream=True, **constraint))
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert json.loads("".join(pieces)) == expected
    assert len(pieces) > 8


def test_response_format_json_schema(nim2: EmulatorServer) -> None:
    class Person(BaseModel):
        name: str
        age: int
        tags: list[str]

    with OpenAI(base_url=f"{nim2.url}/v1", api_key="none") as client:
        answer = client.chat.completions.parse(
            model=MODEL,
            messages=[{"role": "user", "content": "The man is called Bob and he is 7"}],
            response_format=Person,
        )
    parsed = answer.choices[0].message.parsed
    assert parsed == Person(name="Bob", age=7, tags=["Bob"])


def test_json_object(nim: EmulatorServer, chat: Post, nim2: EmulatorServer) -> None:
    for server, constraint in (
        (nim, {"response_format": {"type": "json_object"}}),
        (nim2, {"structured_outputs": {"json_object": True}}),
    ):
        parsed = json.loads(content(chat(server, "Hello there", **constraint)))
        assert parsed == {"answer": "Hello there"}


@pytest.mark.parametrize(
    ("pattern", "expected"), [(None, ": "), (r"[ ]?", ": "), (r"\n", ":\n"), ("", ":")]
)
def test_whitespace(nim: EmulatorServer, chat: Post, pattern: str | None, expected: str) -> None:
    more = {} if pattern is None else {"whitespace_pattern": pattern}
    text = content(chat(nim, **fields(nim, "json", PERSON, **more)))
    assert f'"age"{expected}' in text
    jsonschema.validate(json.loads(text), PERSON)


def test_compact_json(nim2: EmulatorServer, chat: Post) -> None:
    text = content(chat(nim2, **fields(nim2, "json", PERSON, disable_any_whitespace=True)))
    assert " " not in text


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d{3}-\d{4}",
        r"(yes|no)!?",
        r"[^abc]{5}",
        r"[A-Z]\w+ [a-z]*\.",
        r"(?P<quote>['\"])\w+(?P=quote)",
        r"\s\S\D\W",
        r"(?=a)a.+",
        r"a*b+c?",
        r"(?i:abc)x{2,}",
    ],
)
def test_regex(nim: EmulatorServer, chat: Post, pattern: str) -> None:
    constraint = fields(nim, "regex", pattern)
    texts = {content(chat(nim, "Say it", seed=seed, **constraint)) for seed in range(3)}
    for text in texts:
        assert re.fullmatch(pattern, text)
        assert len(text) < 40


@pytest.mark.parametrize(
    ("pattern", "expected"), [(r"\d+", "42"), (r"[A-Z]\w+", "Paris"), (r"[a-z]{6}", "answer")]
)
def test_regex_prefers_the_text(
    nim: EmulatorServer, chat: Post, pattern: str, expected: str
) -> None:
    said = "The answer is 42 in Paris"
    assert content(chat(nim, said, **fields(nim, "regex", pattern))) == expected


@pytest.mark.parametrize("pattern", [r"(?!a)a", r"(?<=x)a", r"a(?>b)c++d\Bx"])
def test_regex_without_a_text_is_refused(nim: EmulatorServer, chat: Post, pattern: str) -> None:
    answer = chat(nim, **fields(nim, "regex", pattern))
    assert answer.status_code == 400
    assert "no text was found" in error(answer)["message"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [("I feel positive today", {"positive"}), ("Knowing no now", {"no"}), ("?", None)],
)
def test_choice(nim: EmulatorServer, chat: Post, said: str, expected: set[str] | None) -> None:
    options = ["positive", "negative", "no"]
    found = {content(chat(nim, said, seed=s, **fields(nim, "choice", options))) for s in range(9)}
    assert found == expected if expected else found <= set(options)
    assert expected or len(found) > 1


@pytest.mark.parametrize(
    ("grammar", "pattern"),
    [
        ('root ::= "yes" | "no"', "yes|no"),
        ('root ::= [0-9]{2,3} ("," [a-f]+)?', "[0-9]{2,3}(,[a-f]+)?"),
        ('# numbers\nroot ::= sign? digit+ # one\nsign ::= "-"\ndigit ::= [0-9]', "-?[0-9]+"),
        ('root ::= "a" {3} "\\n" "\\u0041" "\\x42" "\\"" "#"', 'aaa\nAB"#'),
        ("root ::= 'single' . [^a-z\\]]", "single[a-z][^a-z\\]]"),
        ('root ::= expr\nexpr ::= "x" | "(" expr ")"', r"\(*x\)*"),
        ('root ::= pair pair*\n  | "none"\npair ::= "p" {1,}', "p+|none"),
        ('root ::= "" | ("a" |)', "a?"),
    ],
)
def test_grammar(nim: EmulatorServer, chat: Post, grammar: str, pattern: str) -> None:
    for seed in range(6):
        text = content(chat(nim, seed=seed, **fields(nim, "grammar", grammar)))
        assert re.fullmatch(pattern, text)


def test_grammar_prefers_the_text(nim: EmulatorServer, chat: Post) -> None:
    constraint = fields(nim, "grammar", 'root ::= "red" | "green" | "blue"')
    assert content(chat(nim, "I like green", **constraint)) == "green"


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        ("root = a", "does not parse: no rule"),
        ('x\nroot ::= "a"', "does not parse: no rule"),
        ('root ::= "a', "does not parse at"),
        ('root ::= ("a"', "parenthesis is not closed"),
        ('root ::= "a")', "does not parse at: )"),
        ("root ::= *", "does not parse at: *"),
        ('rule ::= "a"', "no rule 'root'"),
        ("root ::= other", "a rule 'other' that it does not have"),
        ("root ::= root", "no finite text"),
        ('root ::= a b\na ::= "x"\nb ::= b "y"', "no finite text"),
        ("root ::= a{3000}\na ::= b{3}\nb ::= [a]", "only very long texts"),
        ("root ::= [b-a]", "not valid"),
    ],
)
def test_bad_grammars_are_refused(nim: EmulatorServer, chat: Post, grammar: str, text: str) -> None:
    answer = chat(nim, **fields(nim, "grammar", grammar))
    assert answer.status_code == 400
    assert text in error(answer)["message"]


LARK = """
?start: greeting " " NAME count  // a comment
greeting: "hi" | "hello"
NAME: /[A-Z][a-z]+/
count: ("!" INT)~TIMES
"""


def test_lark(nim1: EmulatorServer, chat: Post) -> None:
    good = LARK.replace("~TIMES", "*") + "%import common.INT\n%ignore WS\n"
    for seed in range(4):
        text = content(chat(nim1, seed=seed, **fields(nim1, "grammar", good)))
        assert re.fullmatch(r"(hi|hello) [A-Z][a-z]+(![0-9]+)*", text)
    renamed = '%import common.WORD -> NOUN\nstart: NOUN "//"'
    assert re.fullmatch("[a-z]+//", content(chat(nim1, **fields(nim1, "grammar", renamed))))


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        (LARK, "does not parse at: ~TIMES"),
        ("start: A\n%import common.C_COMMENT", "'common.C_COMMENT', which is not emulated"),
        ("start: A\n%declare A", "'%declare' in a Lark grammar"),
    ],
)
def test_lark_beyond_the_simple_is_refused(
    nim1: EmulatorServer, chat: Post, grammar: str, text: str
) -> None:
    answer = chat(nim1, **fields(nim1, "grammar", grammar))
    assert answer.status_code == 400
    assert text in error(answer)["message"]


def test_constraints_end_where_they_are_complete(nim2: EmulatorServer, chat: Post) -> None:
    constraint = {"structured_outputs": {"choice": ["short"]}}
    answer = chat(nim2, **constraint, ignore_eos=True, min_tokens=30)
    assert content(answer) == "short"
    cut = chat(nim2, "x", structured_outputs={"json": PERSON}, max_tokens=3).json()["choices"][0]
    assert cut["finish_reason"] == "length"
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(cut["message"]["content"])
