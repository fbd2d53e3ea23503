"""The claims of docs/security.md that no other test shows."""

import contextlib
import logging
import re
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest

import llama_stack_provider_nvidia
from llama_stack_provider_nvidia.adapter import NVIDIAInferenceAdapter
from llama_stack_provider_nvidia.config.endpoint import usable_key
from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from llama_stack_provider_nvidia.nim import errors
from llama_stack_provider_nvidia.nim.errors import body as error_bodies
from llama_stack_provider_nvidia.nim.transport import nvcf_polling
from llama_stack_provider_nvidia.nim.transport.http_client import HTTPClientFactory
from llama_stack_provider_nvidia.nim.transport.network import NetworkConfig
from nim_emulator import EmulatorServer

from .conftest import MODEL

# Not of the form of NVIDIA's keys: those are known by sight.
KEY = "gateway-4f1c9e07a3b2"
GATEWAY = "team-5d2a8b61c0e4"
HELLO = [{"role": "user", "content": "hello"}]
PACKAGE = Path(llama_stack_provider_nvidia.__file__).parent


@pytest.fixture(scope="module", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one authority, not some 150: each provider reads them all, which takes longest here."""
    pem = Path(certifi.where()).read_text("utf-8")
    file = tmp_path_factory.mktemp("authority") / "one.pem"
    end = "-----END CERTIFICATE-----\n"
    file.write_text(pem.partition(end)[0] + end, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


async def keyed_adapter(nim: EmulatorServer, *, http2: bool = False) -> NVIDIAInferenceAdapter:
    network = {"headers": {"X-Gateway-Key": GATEWAY}, "http2": http2}
    made = NVIDIAInferenceAdapter(
        NVIDIAConfig(url=nim.url, api_key=KEY, max_retries=1, network=network)
    )
    await made.initialize()
    return made


@pytest.fixture
async def keyed(nim: EmulatorServer) -> AsyncIterator[NVIDIAInferenceAdapter]:
    made = await keyed_adapter(nim)
    yield made
    await made.shutdown()


async def native(adapter: NVIDIAInferenceAdapter) -> None:
    await adapter.chat_completion(MODEL, HELLO)


async def native_stream(adapter: NVIDIAInferenceAdapter) -> None:
    async for _ in await adapter.chat_completion(MODEL, HELLO, stream=True):
        pass


async def openai_style(adapter: NVIDIAInferenceAdapter) -> None:
    messages = [{"role": "user", "content": "hello"}]
    await adapter.openai_chat_completion(model=MODEL, messages=messages)


async def openai_stream(adapter: NVIDIAInferenceAdapter) -> None:
    messages = [{"role": "user", "content": "hello"}]
    async for _ in await adapter.openai_chat_completion(
        model=MODEL, messages=messages, stream=True
    ):
        pass


WAYS = [native, native_stream, openai_style, openai_stream]
# The body of each quotes all that the request proved itself by.
QUOTING = f"no: Bearer {KEY}, {KEY}, {GATEWAY}"
FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"fault": "status", "status": 401, "message": QUOTING},
    "out of order": {"fault": "status", "status": 500, "body": "text", "message": QUOTING},
    "redirected": {"fault": "redirect", "status": 307, "to": "http://127.0.0.1:9/v1"},
}


def secrets_in(text: str) -> list[str]:
    return [secret for secret in (KEY, GATEWAY) if secret in text]


@pytest.mark.parametrize("http2", [False, True], ids=["aiohttp", "httpcore"])
@pytest.mark.parametrize("way", WAYS)
async def test_no_key_is_in_any_log(
    nim: EmulatorServer, caplog: pytest.LogCaptureFixture, way: Any, http2: bool
) -> None:
    keyed = await keyed_adapter(nim, http2=http2)
    caplog.set_level(logging.DEBUG)
    for name in (
        "openai",
        "openai._base_client",
        "httpx",
        "httpcore",
        "aiohttp",
        "llama_stack_provider_nvidia",
    ):
        caplog.set_level(logging.DEBUG, logger=name)
    await way(keyed)
    await keyed.health()
    await keyed.list_models()
    for fault in FAULTS.values():
        nim.faults([fault, fault])
        with pytest.raises(errors.NIMError):
            await way(keyed)
        nim.clear()
    await keyed.shutdown()
    logged = {"httpcore.http11"} if http2 else {"httpx"}
    assert {*logged, "openai._base_client"} <= {record.name for record in caplog.records}
    assert secrets_in(caplog.text) == []
    assert secrets_in("".join(repr(vars(record)) for record in caplog.records)) == []


def shown(error: BaseException | None) -> str:
    """All that a traceback shows of a chain, with the values of all variables."""
    text = ""
    while error is not None:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        text += "".join(told.format()) + repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    return text


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", WAYS)
async def test_no_key_is_in_any_error(
    keyed: NVIDIAInferenceAdapter, nim: EmulatorServer, way: Any, fault: str
) -> None:
    nim.faults([FAULTS[fault]] * 2)
    with pytest.raises(errors.NIMError) as raised:
        await way(keyed)
    nim.clear()
    assert secrets_in(f"{raised.value} {raised.value!r} {raised.value.args}") == []


async def test_no_key_is_in_the_variables_of_a_traceback(
    keyed: NVIDIAInferenceAdapter, nim: EmulatorServer
) -> None:
    """Of this package's functions; those of others do not show what they were given."""
    nim.faults([{"fault": "status", "status": 400}])
    with pytest.raises(errors.NIMError) as raised:
        await openai_style(keyed)
    nim.clear()
    text = shown(raised.value)
    assert "sender.py" in text
    assert secrets_in(text) == []


@pytest.mark.parametrize("body", ["text", "nested", "list", "detail-text"])
@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_that_quotes_the_key_does_not_pass_it_on(
    keyed: NVIDIAInferenceAdapter, nim: EmulatorServer, way: Any, body: str
) -> None:
    nim.faults([{"fault": "status", "status": 200, "body": body, "message": QUOTING}])
    with pytest.raises(errors.NIMError) as raised:
        await way(keyed)
    nim.clear()
    assert secrets_in(f"{raised.value!s} {raised.value!r}") == []


async def test_no_key_is_in_what_objects_show(keyed: NVIDIAInferenceAdapter) -> None:
    await openai_style(keyed)
    endpoint = keyed.endpoint
    objects = [keyed, keyed.config, *keyed.config.endpoint_configs(), endpoint, endpoint._sender]
    with endpoint._sender._pool.lease(usable_key(KEY)) as lease:
        objects += [lease, lease.client, lease.client._client, vars(endpoint._sender)]
        objects += list(endpoint._sender._pool._by_loop.values())
    assert secrets_in("".join(f"{one!r}{one!s}" for one in objects)) == []
    assert secrets_in(keyed.config.model_dump_json()) == []


def test_a_key_is_still_a_string() -> None:
    key = usable_key(f" {KEY}\n")
    assert key == KEY
    assert f"Bearer {key}" == f"Bearer {KEY}"
    assert repr(key) == "'***'"


@pytest.mark.parametrize(
    "name",
    [
        *("", "../../admin", "a/b", "a?b", "a#b", "@host", "a@host", "//host", "http://host"),
        *("a" * 129, "é", "a.b", "%2e%2e"),
    ],
)
async def test_an_answer_cannot_choose_where_the_key_goes(name: str) -> None:
    request = httpx.Request("POST", "https://integrate.api.nvidia.com/v1/chat/completions")
    headers = [(b"nvcf-reqid", name.encode()), (b"location", b"http://host/")]
    response = httpx.Response(202, headers=headers, content=b"", request=request)
    client: Any = None  # it is not asked for anything
    with pytest.raises(errors.ServerError, match="gave no id"):
        await nvcf_polling.poll_until_ready(client, response, endpoint=str(request.url), limit=1)


async def test_clients_follow_no_redirects() -> None:
    async with HTTPClientFactory(NetworkConfig()).make(httpx.Timeout(1)) as client:
        assert client.follow_redirects is False


def test_certificates_are_checked_unless_one_says_otherwise() -> None:
    context = NetworkConfig().tls.context()
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


def test_texts_of_a_nim_cannot_write_lines_into_logs() -> None:
    text = error_bodies.message_in("no\n2026-01-01 INFO all is well\r\x1b[2J\x00\x07\u202e\u2028x")
    assert text.isprintable()
    assert text.startswith("no 2026")
    assert error_bodies.request_id_of({"x-request-id": "a\x1b[31m" + "b" * 500}) == (
        "a[31m" + "b" * 123
    )


@pytest.mark.parametrize(
    "name", ["../../admin", "a\r\nX-Evil: 1", "a?b=c#d", "lora/../../x", "%2e"]
)
async def test_a_model_s_name_stays_in_the_body(nim: EmulatorServer, name: str) -> None:
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, max_retries=0))
    messages = [{"role": "user", "content": "hello"}]
    with contextlib.suppress(errors.NIMError):
        await adapter.openai_chat_completion(model=name, messages=messages)
    with contextlib.suppress(errors.NIMError):
        await adapter.openai_embeddings(model=name, input=["hello"])
    await adapter.shutdown()
    posted = {request.path for request in nim.requests if request.method == "POST"}
    assert posted <= {"/v1/chat/completions", "/v1/embeddings"}
    assert not any("x-evil" in request.headers for request in nim.requests)


FORBIDDEN = re.compile(
    r"(?<![\w.])(?:eval|exec|compile|__import__)\(|\byaml\.(?:unsafe_)?load\(|\bos\.(?:system|popen)\("
    r"|^\s*(?:import|from)\s+(?:pickle|marshal|shelve|dill|cloudpickle|subprocess)\b",
    re.MULTILINE,
)


# It starts its own interpreter with one module of this package, so that a check of a caller's
# constraint can be ended. No word of a caller's is in the command.
STARTS_PROCESSES = PACKAGE / "nim" / "responses" / "constraint_process.py"
COMMAND = '[sys.executable, "-m", f"{__package__}.constraint_worker", str(_MEMORY_BYTES)]'


def test_nothing_is_run_that_was_only_read() -> None:
    """No evaluation of text as code, and no format that can hold code."""
    assert FORBIDDEN.search("x = eval(text)")
    assert FORBIDDEN.search("import pickle")
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        if path == STARTS_PROCESSES:
            assert text.count("subprocess.Popen(") == text.count(f"command = {COMMAND}") == 1
            assert text.count("command") == 2
            text = text.replace("import subprocess\n", "")
            assert "shell" not in text
        found = FORBIDDEN.search(text)
        assert found is None, f"{path}: {found.group() if found else ''}"


@pytest.mark.parametrize("model", ["m\nINFO all is well", "m\x1b[2J", "m\u2028x"])
async def test_names_of_models_cannot_write_lines_into_logs(
    nim: EmulatorServer, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    adapter = NVIDIAInferenceAdapter(NVIDIAConfig(url=nim.url, max_retries=0))
    caplog.set_level(logging.INFO, logger="llama_stack_provider_nvidia")
    messages = [{"role": "user", "content": "hello"}]
    with pytest.raises(errors.NIMError):
        await adapter.openai_chat_completion(model=model, messages=messages)
    await adapter.shutdown()
    texts = [r.getMessage() for r in caplog.records if r.name.startswith("llama_stack_provider")]
    assert texts
    assert all(text.isprintable() for text in texts)
