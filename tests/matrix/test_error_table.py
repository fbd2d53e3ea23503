"""docs/errors.md says what clients are told: every row of it, on a real server of this release."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import openai
import pytest

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.nim.errors.cause import Cause, When
from llama_stack_provider_nvidia.nim.errors.troubleshooting import CAUSES
from nim_emulator import EmulatorServer
from scripts.stack_server import StackServer
from scripts.statuses import OwnClient

from . import release
from .causes import ELSEWHERE, EMBEDDER, GHOST, LLM, LONG, REQUEST_ID, SECRETS, WAYS, Nims, Way
from .servers import model, stack_server

pytestmark = [
    pytest.mark.server,
    # Of the releases' own clients, for others to judge.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]

HELLO = [{"role": "user", "content": "count to 6"}]
HIDDEN = "Internal server error: An unexpected error occurred."
# What servers up to 0.6 put before a text, and up to 0.4 before that of an event.
PREFIX = re.compile(
    r"(\d{3}: )?((Invalid value|Permission denied|Operation timed out|Authentication required): )?"
)
# Servers close a connection after an error, sometimes just when it is used again.
FRESH = {"Connection": "close"}
FAILING = [cause for cause in CAUSES if cause.kind is not None and cause.code not in ELSEWHERE]


class Told(NamedTuple):
    """The error as a caller gets it.

    Attributes:
        status: HTTP status of the answer, 200 if it has begun well.
        code: The status that an event of the stream reports, None without such an event.
        text: The error's text.
        seen: How many chunks came before.
        raised: The client has raised it.
    """

    status: int
    code: int | None
    text: str
    seen: int = 0
    raised: bool = True


SERVER = release.statuses()


@pytest.fixture(scope="module")
def nims() -> Iterator[Nims]:
    with Nims() as made:
        yield made


@pytest.fixture(scope="module")
def failing(nims: Nims, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackServer]:
    """A server with a provider for each kind of failure."""
    providers = nims.providers()
    models = [model(name, LLM) for name in providers]
    models += [model(name, GHOST) for name in ("nvidia", "several")]
    models.append(model("nvidia", EMBEDDER, "embedding", embedding_dimension=2))
    folder = tmp_path_factory.mktemp("errors")
    with stack_server(folder, providers, models, keeps_chats=False) as server:
        nims.open_mute()
        yield server


@pytest.fixture(scope="module")
def plain(failing: StackServer) -> Iterator[openai.OpenAI]:
    url = f"{failing.url}{release.openai_path(failing.url)}"
    with openai.OpenAI(
        base_url=url, api_key="none", max_retries=0, default_headers=FRESH, timeout=30
    ) as made:
        yield made


@pytest.fixture(scope="module")
def own(failing: StackServer) -> Iterator[Any]:
    """The client that was published with the release."""
    options = {"max_retries": 0, "default_headers": FRESH, "timeout": 30}
    if release.GENERATED_CLIENT:
        options = {}
    with release.own_client(failing.url, **options) as made:
        if release.GENERATED_CLIENT:
            made.api_client.set_default_header("Connection", "close")
        yield made


def ask(client: Any, way: Way, *, stream: bool) -> Any:
    """Ask with OpenAI's client, or one like it."""
    name = f"{way.provider}/{way.model}"
    if way.route == "embeddings":
        return client.embeddings.create(model=name, input="x", encoding_format="float")
    fields: dict[str, Any] = {"model": name, "stream": stream, **way.fields}
    if way.data is not None:
        fields["extra_headers"] = {release.PROVIDER_DATA_HEADER: json.dumps(way.data)}
    if way.route == "completion":
        return client.completions.create(prompt="x", **fields)
    return client.chat.completions.create(**{"messages": HELLO, **fields})


def ask_natively(client: Any, way: Way, *, stream: bool) -> Any:
    fields = {"messages": HELLO, **(way.native or {})}
    if way.data is not None:
        fields["extra_headers"] = {release.PROVIDER_DATA_HEADER: json.dumps(way.data)}
    name = f"{way.provider}/{way.model}"
    return client.inference.chat_completion(model_id=name, stream=stream, **fields)


def told(client: Any, way: Way, nim: EmulatorServer, *, stream: bool) -> Told:
    """Ask, and give what the caller hears."""
    is_own = not isinstance(client, openai.OpenAI)
    call = ask_natively if is_own and stack.NATIVE else ask
    seen = 0
    way.order(nim, stream=stream)
    for _ in range(way.asked_before):
        _ignored(lambda: call(client, way, stream=False))
    try:
        answer = call(client, way, stream=stream)
        for chunk in answer if stream else ():
            error = chunk.get("error") if isinstance(chunk, dict) else getattr(chunk, "error", None)
            if error:
                return _reported(error, seen, raised=False)
            seen += 1
    except Exception as error:
        status = getattr(error, "status_code", None)
        if status is None:
            return _reported(_body(error), seen, raised=True)
        return Told(status, None, _text(_body(error)), seen)
    raise AssertionError("no error")


@contextlib.contextmanager
def holding(client: openai.OpenAI, way: Way, nim: EmulatorServer) -> Iterator[None]:
    """Keep a long stream open, if the way needs one."""
    if not way.holds:
        yield
        return
    nim.clear()
    nim.script([LONG])
    with ask(client, way, stream=True) as stream:
        next(iter(stream))
        yield


def _ignored(call: Any) -> None:
    try:
        call()
    except Exception as error:
        if not hasattr(error, "status_code"):
            raise


def _body(error: Any) -> Any:
    body = error.body or getattr(getattr(error, "response", None), "text", None)
    return json.loads(body) if isinstance(body, str) else body


def _text(body: Any) -> str:
    """The text in a body: each release has a place of its own for it."""
    if not isinstance(body, dict):
        return str(body)
    for name in ("error", "detail", "message"):
        if body.get(name):
            return _text(body[name])
    raise AssertionError(f"no text in {body!r}")


def _reported(error: Any, seen: int, *, raised: bool) -> Told:
    text = _text(error)
    number = error.get("code") or error.get("status_code") or text[:3]
    return Told(200, int(number), text, seen, raised)


def where(way: Way, name: str) -> str:
    """The words that a text must hold, by their name."""
    return {
        "model": f"model {way.model}",
        "endpoint": "endpoint http",
        "request id": f"request id {REQUEST_ID}",
    }[name]


def check(cause: Cause, way: Way, heard: Told, *, stream: bool) -> None:
    late = stream and cause.when in (When.LATER, When.BOTH)
    in_event = late or (stream and not SERVER.refuses_streams)
    status = SERVER.status(cause)
    assert (heard.status, heard.code) == ((200, status) if in_event else (status, None)), heard
    if way.streamed_script is None:  # it may be checked when there is but one chunk of all
        assert (heard.seen > 0) == late, heard
    assert not any(secret in heard.text for secret in SECRETS)
    text = PREFIX.sub("", heard.text, count=1)
    if SERVER.hides(cause, late=late):
        assert text == HIDDEN
        return
    assert cause.kind is not None
    assert f"(code {cause.code}" in text, text
    for name in way.names:
        assert where(way, name) in text, text


def modes(cause: Cause) -> list[bool]:
    """Whether it befalls whole answers and streams."""
    return [False] * cause.whole + [True] * (cause.when is not When.NEVER)


def is_for_own_client(way: Way) -> bool:
    """Whether the release's own client can ask so: natively on 0.2, else by a plain chat."""
    if stack.NATIVE and way.fields:
        return way.native is not None
    # Some clients take provider data only when they are made.
    takes = way.data is None or not release.GENERATED_CLIENT
    return way.route == "chat" and not way.fields and takes


def test_every_cause_is_brought_about() -> None:
    assert list(WAYS) == [cause.code for cause in FAILING]


@pytest.mark.parametrize("cause", FAILING, ids=lambda cause: cause.code)
def test_a_row(cause: Cause, plain: openai.OpenAI, own: Any, nims: Nims) -> None:
    way = WAYS[cause.code]
    for stream in modes(cause):
        if not (way.waits and stream):  # once is enough
            with holding(plain, way, nims.plain):
                heard = told(plain, way, nims.plain, stream=stream)
            check(cause, way, heard, stream=stream)
        if not is_for_own_client(way) or (way.waits and not stream):
            continue
        with holding(plain, way, nims.plain):
            heard = told(own, way, nims.plain, stream=stream)
        check(cause, way, heard, stream=stream)
        if heard.code is not None:
            assert heard.raised == (SERVER.own_client is OwnClient.RAISES)
