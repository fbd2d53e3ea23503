"""A refused request does not keep a server from answering: no traceback of it is drawn."""

import json
import re
import urllib.error
import urllib.request
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from llama_stack_provider_nvidia.nim.errors import NIMError
from llama_stack_provider_nvidia.nim.errors.troubleshooting import BY_CODE
from llama_stack_provider_nvidia.nim.requests.images import validate_image
from nim_emulator import EmulatorServer

from . import release
from .causes import LLM
from .servers import QUIET, model, stack_server

pytestmark = pytest.mark.server

PACKAGE = "llama_stack_provider_nvidia"
# As the server logs unless it is told otherwise.
PLAIN = dict.fromkeys(QUIET, "")
BODY = {"model": f"nvidia/{LLM}", "messages": [{"role": "user", "content": "count to 6"}]}
TOO_LONG = {"messages": [{"role": "user", "content": "word " * 9000}]}


def status(url: str, **fields: Any) -> int:
    data = json.dumps({**BODY, **fields}).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.read()
        return error.code


def tracebacks(log: str) -> list[str]:
    """Return the drawn tracebacks of a log, each as one line without its frame.

    A server may draw errors of its own, such as those of a database that is locked.
    """
    boxes = re.findall(r"╭─+ Traceback.*?╯", log, re.DOTALL)
    return [re.sub(r"\s*│?\n.*?│ ?", "", box) for box in boxes]


def test_a_drawn_traceback_is_found() -> None:
    drawing = StringIO()
    try:
        validate_image("data:image/png;base64,?", "image")
    except NIMError:
        Console(file=drawing, width=60).print_exception()
    (drawn,) = tracebacks(f"INFO\n{drawing.getvalue()}\nINFO")
    assert PACKAGE in drawn


def test_errors_are_logged_by_their_text(tmp_path: Path) -> None:
    with EmulatorServer(models=[LLM]) as nim:
        settings = {"nvidia": {"url": nim.url, "max_retries": 0}}
        models = [model("nvidia", LLM)]
        # The store of 0.2.12 fails over a stream that ends with an error, which is drawn.
        server = stack_server(tmp_path, settings, models, env=PLAIN, keeps_chats=False)
        with server:
            url = f"{server.url}{release.openai_path(server.url)}/chat/completions"
            assert status(url) == 200
            assert status(url, **TOO_LONG) == 400
            for fault in ("bad-body", "bad-json:after=2"):
                nim.faults([fault])
                status(url, stream=":" in fault)
            nim.faults([{"fault": "status", "status": 429}])
            assert status(url) == release.statuses().status(BY_CODE["rate_limit_exceeded"])
            assert status(url) == 200
            # Before the server ends: 0.5.4 draws an error of its own then.
            text = server.log_path.read_text("utf-8", "replace")
    for code in ("context_length_exceeded", "unreadable_response", "rate_limit_exceeded"):
        assert code in text
    assert not [drawn for drawn in tracebacks(text) if PACKAGE in drawn]
