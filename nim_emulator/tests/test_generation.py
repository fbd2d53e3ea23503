"""The deterministic model: texts, limits, stops, seeds, choices, log probabilities."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import Post, content, events, message
from nim_emulator import EmulatorServer
from nim_emulator.tokenizer import VOCABULARY_SIZE, count, token_id, tokenize, tokenize_segments


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    pieces = tokenize(text)
    assert "".join(pieces) == text
    assert all(pieces)
    assert count(text) == len(pieces)
    assert all(0 <= token_id(piece) < VOCABULARY_SIZE for piece in pieces)


@given(st.lists(st.from_regex(r" \w+", fullmatch=True)))
def test_segments_have_the_tokens_of_the_whole(segments: list[str]) -> None:
    assert list(tokenize_segments(segments)) == tokenize("".join(segments))


def test_answer_is_a_sentence_about_the_request(nim: EmulatorServer, chat: Post) -> None:
    answer = chat(nim, "Hello there")
    assert 'You wrote: "Hello there".' in content(answer)
    assert 10 <= answer.json()["usage"]["completion_tokens"] <= 60
    assert content(chat(nim, "Something else")) != content(answer)


def test_long_prompts_are_quoted_in_part(nim: EmulatorServer, chat: Post) -> None:
    assert "one two three four five six seven eight nine ten eleven twelve ..." in content(
        chat(nim, "one two three four five six seven eight nine ten eleven twelve thirteen")
    )


def test_same_seed_same_answer(nim: EmulatorServer, chat: Post, complete: Post) -> None:
    for post in (chat, complete):
        texts = []
        for seed in (1, 1, 2, 3, 4, 5):
            answer = post(nim, seed=seed, temperature=0.9, max_tokens=60).json()
            del answer["id"], answer["created"]
            texts.append(str(answer))
        assert texts[0] == texts[1]
        assert len(set(texts)) > 2
    greedy = {content(chat(nim, temperature=0, seed=seed)) for seed in range(4)}
    assert len(greedy) == 1


def test_choices_differ(nim: EmulatorServer, chat: Post, complete: Post) -> None:
    choices = chat(nim, n=8, temperature=0.7).json()["choices"]
    assert [choice["index"] for choice in choices] == list(range(8))
    assert len({choice["message"]["content"] for choice in choices}) == 8
    answer = complete(nim, ["first", "second"], n=2, max_tokens=30).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    texts = [choice["text"] for choice in answer["choices"]]
    assert ["first" in text for text in texts] == [True, True, False, False]
    assert len(set(texts)) == 4
    assert answer["usage"]["prompt_tokens"] == count("first") + count("second")


def test_counting_gives_long_texts(nim: EmulatorServer, chat: Post) -> None:
    answer = chat(nim, "Please count to 2000", temperature=0)
    assert content(answer) == " ".join(map(str, range(1, 2001)))
    assert answer.json()["usage"]["completion_tokens"] == 2000
    # More than the context holds: the room is what limits it.
    answer = chat(nim, "count to 999999999999").json()
    assert answer["usage"]["total_tokens"] == 8192
    assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_max_tokens(nim: EmulatorServer, chat: Post, complete: Post, limit: int) -> None:
    full = content(chat(nim, temperature=0))
    answer = chat(nim, temperature=0, max_tokens=limit)
    assert content(answer) == "".join(tokenize(full)[:limit])
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    assert answer.json()["usage"]["completion_tokens"] == limit
    text = complete(nim, max_tokens=limit).json()["choices"][0]["text"]
    assert count(text) == limit


def test_max_tokens_of_exactly_the_text(nim: EmulatorServer, chat: Post) -> None:
    answer = chat(nim, "count to 5", max_tokens=5).json()
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_max_completion_tokens_wins(nim2: EmulatorServer, chat: Post) -> None:
    answer = chat(nim2, max_tokens=9, max_completion_tokens=4).json()
    assert answer["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize(
    ("stop", "text", "reason"),
    [
        (["7"], "1 2 3 4 5 6 ", "7"),
        ("5 6", "1 2 3 4 ", "5 6"),
        (["9", "4"], "1 2 3 ", "4"),
        (["3 4", "2 3 4 5"], "1 2 ", "3 4"),
        (["1"], "", "1"),
        (["nothing"], "1 2 3 4 5 6 7 8 9 10", None),
    ],
)
def test_stop(nim: EmulatorServer, chat: Post, stop: Any, text: str, reason: str | None) -> None:
    answer = chat(nim, "count to 10", stop=stop)
    choice = answer.json()["choices"][0]
    assert (content(answer), choice["finish_reason"]) == (text, "stop")
    assert choice["stop_reason"] == reason


def test_stop_inside_a_token(nim2: EmulatorServer, chat: Post) -> None:
    said = {"temperature": 0, "stop": ["rote: "]}
    text = content(chat(nim2, **said))
    assert text.endswith("You w")
    kept = content(chat(nim2, **said, include_stop_str_in_output=True))
    assert kept == text + "rote: "


def test_stop_token_ids(nim2: EmulatorServer, chat: Post) -> None:
    answer = chat(nim2, "count to 10", stop_token_ids=[token_id(" 4")])
    assert content(answer) == "1 2 3"
    assert answer.json()["choices"][0]["stop_reason"] == token_id(" 4")


def test_min_tokens_goes_on_and_delays_stops(nim2: EmulatorServer, chat: Post) -> None:
    answer = chat(nim2, "count to 10", min_tokens=40).json()
    assert answer["usage"]["completion_tokens"] == 40
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert content(chat(nim2, "count to 10", min_tokens=5, stop=["3", "8"])) == "1 2 3 4 5 6 7 "


def test_ignore_eos(nim2: EmulatorServer, chat: Post, complete: Post) -> None:
    answer = chat(nim2, ignore_eos=True, max_tokens=500).json()
    assert answer["usage"]["completion_tokens"] == 500
    assert answer["choices"][0]["finish_reason"] == "length"
    answer = complete(nim2, ignore_eos=True, max_tokens=None).json()
    assert answer["usage"]["total_tokens"] == 8192


def test_tool_results_are_stated(nim: EmulatorServer, chat: Post) -> None:
    function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    said = [
        {"role": "user", "content": "What is the weather in Paris?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "sunny"},
        {"role": "tool", "tool_call_id": "b", "content": "25 C"},
    ]
    text = content(chat(nim, said))
    assert 'The tool answered: "sunny". The tool answered: "25 C".' in text


def test_images_are_mentioned(nim: EmulatorServer, chat: Post) -> None:
    def part(url: str) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}

    text = {"type": "text", "text": "What is this?"}
    one = chat(nim, [{"role": "user", "content": [part("https://a.example/x.png"), text]}])
    assert "I see 1 image: from a.example." in content(one)
    parts = [part("data:image/png;base64,AA=="), part("data:,x"), text]
    two = chat(nim, [{"role": "user", "content": parts}])
    assert "I see 2 images: image/png, text/plain." in content(two)
    difference = two.json()["usage"]["prompt_tokens"] - one.json()["usage"]["prompt_tokens"]
    assert difference == 256


def test_a_chat_without_user(nim: EmulatorServer, chat: Post) -> None:
    assert "You wrote" in content(chat(nim, [{"role": "system", "content": "Be brief"}]))


@pytest.mark.parametrize("prompt", [[5, 6, 7], [[5, 6, 7]]])
def test_prompts_of_token_ids(nim: EmulatorServer, complete: Post, prompt: list[Any]) -> None:
    answer = complete(nim, prompt, max_tokens=40).json()
    assert answer["usage"]["prompt_tokens"] == 3
    assert "<5> <6> <7>" in answer["choices"][0]["text"]


def test_lone_surrogates_survive(nim: EmulatorServer, chat: Post, http: Any) -> None:
    raw = (
        b'{"model": "meta/llama-3.1-8b-instruct", "logprobs": true, "max_tokens": 40,'
        b'"messages": [{"role": "user", "content": "a\\ud800b"}]}'
    )
    headers = {"content-type": "application/json"}
    answer = http.post(f"{nim.url}/v1/chat/completions", content=raw, headers=headers)
    assert "a\ud800b" in answer.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("top", [None, 0, 1, 5, 20])
@pytest.mark.parametrize("temperature", [0, 1])
def test_chat_logprobs(nim: EmulatorServer, chat: Post, top: int | None, temperature: int) -> None:
    fields = {} if top is None else {"top_logprobs": top}
    answer = chat(nim, "Grüße, 世界", logprobs=True, temperature=temperature, **fields)
    entries = answer.json()["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == content(answer)
    for entry in entries:
        assert bytes(entry["bytes"]).decode() == entry["token"]
        ranked = [item["logprob"] for item in entry["top_logprobs"]]
        assert len(ranked) == (top or 0)
        assert ranked == sorted(ranked, reverse=True)
        assert sum(map(math.exp, ranked)) <= 1.0001
        if ranked:
            names = [item["token"] for item in entry["top_logprobs"]]
            assert len(set(names)) == len(names)
            assert entry["token"] in names
            assert entry["logprob"] == ranked[names.index(entry["token"])]
            assert temperature or names[0] == entry["token"]
    if temperature and top and top > 1:
        best = [entry["top_logprobs"][0]["token"] == entry["token"] for entry in entries]
        assert not all(best)


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("top", [0, 3])
def test_completion_logprobs(nim: EmulatorServer, complete: Post, top: int, echo: bool) -> None:
    choice = complete(nim, "Once upon a time", logprobs=top, echo=echo).json()["choices"][0]
    found = choice["logprobs"]
    assert "".join(found["tokens"]) == choice["text"]
    assert choice["text"].startswith("Once upon a time") == echo
    for offset, token in zip(found["text_offset"], found["tokens"], strict=True):
        assert choice["text"][offset : offset + len(token)] == token
    assert len(found["token_logprobs"]) == len(found["tokens"]) == len(found["top_logprobs"])
    assert (found["token_logprobs"][0] is None) == echo
    for chosen, token, ranked in list(
        zip(found["token_logprobs"], found["tokens"], found["top_logprobs"], strict=True)
    )[1:]:
        assert ranked[token] == chosen
        assert len(ranked) == max(1, top)


def test_no_logprobs_unless_asked(nim: EmulatorServer, chat: Post, complete: Post) -> None:
    assert chat(nim, logprobs=False).json()["choices"][0]["logprobs"] is None
    assert complete(nim).json()["choices"][0]["logprobs"] is None


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("max_tokens", [5, 60])
def test_streamed_logprobs_are_the_same(
    nim2: EmulatorServer, chat: Post, complete: Post, echo: bool, max_tokens: int
) -> None:
    fields = {"logprobs": 2, "echo": echo, "max_tokens": max_tokens}
    whole = complete(nim2, **fields).json()["choices"][0]["logprobs"]
    parts = [
        chunk["choices"][0]["logprobs"] for chunk in events(complete(nim2, stream=True, **fields))
    ]
    joined = {key: [x for part in parts if part for x in part[key]] for key in whole}
    assert joined == whole
    said = {"logprobs": True, "top_logprobs": 2, "max_tokens": max_tokens}
    entries = chat(nim2, **said).json()["choices"][0]["logprobs"]["content"]
    found = []
    for chunk in events(chat(nim2, stream=True, **said)):
        found += (chunk["choices"][0]["logprobs"] or {"content": []})["content"]
    assert found == entries
    assert message(chat(nim2, **said))["content"] == "".join(item["token"] for item in found)
