"""``llama-stack-nvidia chat``, on a terminal and off it."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nim_emulator import EmulatorServer
from scripts.child_process import free_port

from .conftest import LLM, Run, Terminal

THINKER = "nvidia/nemotron-3-nano-30b-a3b"


def test_one_answer(run: Run) -> None:
    # What comes at once has no rate.
    with EmulatorServer(models=[LLM], tokens_per_second=5) as nim:
        result = run("chat", nim.url, "--once", "count to 5", "--system", "Be short.", "--stats")
    assert result.exit_code == 0, result.output
    assert result.stdout == "1 2 3 4 5\n"
    assert re.fullmatch(r"\d+ tokens, \d+ tokens/s, the first after \d+ ms\n", result.stderr), (
        result.stderr
    )
    body = nim.requests[-1].body
    assert body["model"] == LLM
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


def test_only_what_was_asked_for_is_sent(nim: EmulatorServer, run: Run) -> None:
    run("chat", nim.url, "--once", "hello")
    assert nim.requests[-1].body.keys() == {"model", "messages", "stream"}
    run("chat", nim.url, "--once", "hello", "--max-tokens", "9", "--temperature", "0")
    body = nim.requests[-1].body
    assert (body["max_tokens"], body["temperature"]) == (9, 0)


def test_standard_input_is_one_message(nim: EmulatorServer, run: Run) -> None:
    result = run("chat", nim.url, given="count\nto 3\n")
    assert result.exit_code == 0
    assert nim.requests[-1].body["messages"][-1]["content"] == "count\nto 3"
    assert run("chat", nim.url, given="\n").exit_code == 2


def test_a_model_goes_by_any_of_its_names(nim: EmulatorServer, run: Run) -> None:
    result = run("chat", nim.url, "--model", "Llama3.1-8B-Instruct", "--once", "hello")
    assert result.exit_code == 0
    assert nim.requests[-1].body["model"] == LLM


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--model", "no/such"], 1, "no/such"),
        (["--temperature", "-1"], 2, "temperature"),
    ],
)
def test_what_cannot_be_asked(
    arguments: list[str], status: int, said: str, nim: EmulatorServer, run: Run
) -> None:
    result = run("chat", nim.url, "--once", "hello", *arguments)
    assert result.exit_code == status
    assert said in result.output


def test_nims_that_do_not_chat(run: Run) -> None:
    with EmulatorServer("retriever") as nim:
        result = run("chat", nim.url, "--once", "hello")
    assert (result.exit_code, "no chat model" in result.output) == (1, True)
    result = run("chat", f"http://127.0.0.1:{free_port()}", "--once", "hello")
    assert (result.exit_code, "No connection" in result.output) == (1, True)


def test_a_broken_answer_is_an_error(nim: EmulatorServer, run: Run) -> None:
    nim.faults(["cut:after=3,how=reset"])
    result = run("chat", nim.url, "--once", "count to 50")
    assert result.exit_code == 1
    assert result.stdout.endswith("\n")
    assert "broke" in result.stderr


def test_a_conversation(nim: EmulatorServer, terminal: Callable[..., Terminal]) -> None:
    with terminal("chat", nim.url, "--stats") as shown:
        assert LLM in shown.wait_for(r"> ", 60)
        shown.press("count to 3\n")
        shown.wait_for(r"\n1 2 3\r\n")
        shown.wait_for(r"tokens.*the first after.*\n> ")
        shown.press("count to 3000\n")
        shown.wait_for(r"\n1 2 3 4 5 6 7")
        shown.press("\x03")
        shown.wait_for(r"\(stopped\)\r\n> ")
        # Python's input() misses a signal between its prompt and its waiting.
        time.sleep(1)
        shown.press("\x03")
        shown.wait_for(r"\r\n> ")
        shown.press("count to 4\n")
        shown.wait_for(r"\n1 2 3 4\r\n.*tokens.*the first after.*\n> ")
        remembered = nim.requests[-1].body["messages"]
        shown.press("/clear\n")
        shown.wait_for(r"> ")
        shown.press("count to 5\n")
        shown.wait_for(r"\n1 2 3 4 5\r\n.*tokens.*the first after.*\n> ")
        shown.press("\x04")
        status, _ = shown.ended()
    assert status == 0
    roles = [message["role"] for message in remembered]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert remembered[1]["content"] == "1 2 3"
    assert remembered[3]["content"].startswith("1 2 3 4 5 6 7")
    assert len(nim.requests[-1].body["messages"]) == 1
    # The generation that was stopped was not left to run on.
    stopped = next(one for one in nim.requests if one.body and "3000" in str(one.body))
    assert stopped.disconnected


def test_thinking_is_dimmed_and_only_on_a_terminal(
    run: Run, terminal: Callable[..., Terminal]
) -> None:
    delta = [{"reasoning_content": "Hm, let me see."}, {"content": "Four."}]
    events = [
        {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": THINKER}
        | {"choices": [{"index": 0, "delta": one, "finish_reason": None}]}
        for one in delta
    ]
    events[-1]["choices"][0]["finish_reason"] = "stop"
    reply = {"path": "/v1/chat/completions", "sse": [*events, "[DONE]"]}
    with EmulatorServer(models=[THINKER]) as nim:
        nim.script([reply, reply])
        assert run("chat", nim.url, "--once", "2+2").stdout == "Four.\n"
        with terminal("chat", nim.url, "--once", "2+2") as shown:
            status, text = shown.ended()
    assert status == 0
    assert "\x1b[2mHm, let me see.\x1b[0m\r\nFour.\r\n" in text


def test_commands_of_a_conversation(
    nim: EmulatorServer, terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    with terminal("chat", nim.url) as shown:
        shown.wait_for(r"/exit leaves.*\n> ", 60)
        for typed, said in (
            ("/help", r"/model \[NAME\]"),
            ("/nonsense", r"no command /nonsense.*nothing was sent"),
            ("/system Be short.", r"Be short\."),
            ("/model no/such", r"does not list no/such"),
            ("/model", re.escape(LLM)),
            ("count to 3", r"1 2 3"),
            ("/save talk.json", r"Wrote talk\.json"),
            ("/save talk.json", r"exists"),
            ("/save ~no-such-user/talk.json", r"cannot be written"),
        ):
            shown.press(f"{typed}\n")
            shown.wait_for(rf"\n[^\n]*{said}")
            shown.wait_for(r"\n> ")
        time.sleep(1)
        shown.press("\x03")
        shown.wait_for(r"Ctrl-D or /exit leaves")
        shown.wait_for(r"\n> ")
        shown.press("/quit\n")
        status, _ = shown.ended()
    assert status == 0
    saved = json.loads((tmp_path / "talk.json").read_text())
    assert saved["model"] == LLM
    assert [one["role"] for one in saved["messages"]] == ["system", "user", "assistant"]
    asked = [one.body for one in nim.requests if one.method == "POST"]
    assert len(asked) == 1
