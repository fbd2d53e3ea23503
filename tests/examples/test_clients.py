"""docs/clients.md: what TypeScript, curl and LangChain do with the server of this release."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import tiktoken

from llama_stack_provider_nvidia import stack
from nim_emulator import EmulatorServer
from scripts.child_process import free_port
from scripts.stack_server import ROOT, StackServer

from .conftest import FOLDER, finished, later

pytestmark = pytest.mark.server

PAGE = (ROOT / "docs" / "clients.md").read_text()
Embed = Callable[[str], dict[str, Any]]
LLAMA = "meta/llama-3.1-8b-instruct"


def release() -> str:
    """This release, as the heads of the page's tables name it."""
    for name, title in (("ogx", "OGX"), ("llama-stack", "Llama Stack")):
        try:
            return f"{title} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    raise AssertionError("no server is installed")


def table(first: str) -> dict[tuple[str, ...], str]:
    """This release's column of a table, by the cells before the releases."""
    text = re.search(rf"^\| {re.escape(first)}.*?(?=\n\n)", PAGE, re.MULTILINE | re.DOTALL)
    assert text
    head, _, *rows = (line.strip("| ").split(" | ") for line in text[0].splitlines())
    column = head.index(release())
    labels = len(head) - 3
    return {tuple(row[:labels]): row[column] for row in rows}


def base(server: StackServer) -> str:
    return f"{server.url}{'/v1/openai/v1' if stack.NATIVE else '/v1'}"


def run(command: list[Any], folder: Path, **variables: str) -> str:
    ended = finished(command, variables, folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_npm_packages_call_what_the_page_says(
    server: StackServer, node: Path, npm_folder: Path
) -> None:
    variables = {"LLAMA_STACK_URL": server.url, "NPM_FOLDER": str(npm_folder)}
    printed = json.loads(run([node, ROOT / "tests/examples/calls.mjs"], ROOT, **variables))
    found = {
        (client, call): re.sub(r"^\w*Error (404) .*", r"\1", outcome)
        for client, calls in printed.items()
        for call, outcome in calls.items()
    }
    said = {
        (client.replace("`", ""), call.replace("`", "")): outcome
        for (client, call), outcome in table("client | call").items()
    }
    assert found == said


def test_the_paths_of_the_page_are_those_of_the_server(server: StackServer) -> None:
    rows = table("what |")
    assert f"`{base(server).removeprefix(server.url)}`" == rows["OpenAI-style API",]
    assert httpx.get(f"{base(server)}/models").status_code == 200
    assert (rows["rerank",] == "no route") != ("rerank" in stack.KINDS)
    assert (rows["native API",] == "no") != stack.NATIVE


def test_typescript_with_openai(server: StackServer, node: Path, npm_folder: Path) -> None:
    lines = run([node, "openai_sdk.ts"], npm_folder, LLAMA_STACK_URL=server.url).splitlines()
    assert re.match(r'Chat: .*"What is NVIDIA NIM\?".* \[[1-9]\d* tokens\]$', lines[0])
    assert lines[1:] == [
        "Stream:     1 2 3 4 5 6 7 8 9 10",
        'Tool call:  get_weather({"city": "Paris"})',
        "Object:     [ 'city', 'country' ]",
        "Embeddings: 2 vectors of 1024 numbers",
    ]


@later("the package is for 0.3 and later, as it says")
def test_typescript_with_the_stack_s_own_client(
    server: StackServer, node: Path, npm_folder: Path
) -> None:
    lines = run([node, "stack_client.ts"], npm_folder, LLAMA_STACK_URL=server.url).splitlines()
    assert 'You wrote: "What is NVIDIA NIM?"' in lines[0]
    assert lines[1:] == [
        "Stream:     1 2 3 4 5 6 7 8 9 10",
        "Embeddings: 2 vectors of 1024 numbers",
        "Best:       Mars has two moons.",
    ]


def test_the_typescript_of_the_page_and_of_the_examples_has_right_types(
    node: Path, npm_folder: Path
) -> None:
    (snippet,) = re.findall(r"^```typescript\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (npm_folder / "page.ts").write_text(snippet)
    run([node, "node_modules/typescript/bin/tsc"], npm_folder)


def test_the_typescript_of_the_page_runs(server: StackServer, node: Path, npm_folder: Path) -> None:
    (snippet,) = re.findall(r"^```typescript\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    program = snippet.replace("http://localhost:8321/v1", base(server))
    if stack.NATIVE:
        program = program.replace('"nvidia/meta/', '"meta/')
    (npm_folder / "page_run.ts").write_text(program)
    assert run([node, "page_run.ts"], npm_folder) == "1 2 3"
    (npm_folder / "page_run.ts").unlink()


def test_curl(server: StackServer, nim: EmulatorServer) -> None:
    done = run(["sh", FOLDER / "curl.sh"], ROOT, LLAMA_STACK_URL=server.url)
    titles = r"^(?:Chat|Stream|Tool call|Embedding|With a key of its own|An error):$"
    _, chat, stream, call, vector, own, error = re.split(f"{titles}\n", done, flags=re.MULTILINE)
    answer = json.loads(chat)["choices"][0]["message"]["content"]
    assert 'You wrote: "What is NVIDIA NIM?"' in answer
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    pieces = [choice["delta"].get("content") for one in events for choice in one["choices"]]
    assert "".join(filter(None, pieces)) == "1 2 3"
    assert json.loads(call)["choices"][0]["message"]["tool_calls"][0]["function"] == {
        "name": "get_weather",
        "arguments": '{"city": "Paris"}',
    }
    assert '"embedding":[' in vector.replace(" ", "")
    assert json.loads(own)["choices"][0]["message"]["content"] == "1 2"
    keys = [one.key for one in nim.requests if one.path == "/v1/chat/completions"]
    assert None in keys
    assert len(set(keys)) > 1
    assert re.search(r"max_tokens.* \[4\d\d\]$", error.strip(), re.DOTALL)


@pytest.fixture(scope="module")
def embeddings(server: StackServer) -> Iterator[Embed]:
    """The page's lines for LangChain, run with a value of the setting."""
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    program = program.replace("http://localhost:8321/v1", base(server))
    program = program.replace("nvidia/nvidia/", offered(server))
    scopes: list[dict[str, Any]] = []

    def execute(value: str) -> dict[str, Any]:
        scope: dict[str, Any] = {}
        scopes.append(scope)
        lines = re.sub(r"(check_embedding_ctx_length)=False", rf"\1={value}", program)
        exec(compile(lines, "docs/clients.md", "exec"), scope)
        return scope

    yield execute
    for scope in scopes:
        scope["embeddings"].client._client.close()


def offered(server: StackServer) -> str:
    names = [entry["id"] for entry in httpx.get(f"{base(server)}/models").json()["data"]]
    (found,) = (name for name in names if name.endswith("nv-embedqa-e5-v5"))
    return str(found).removesuffix("nv-embedqa-e5-v5")


def inputs(nim: EmulatorServer) -> Any:
    return [one.body["input"] for one in nim.requests if one.path == "/v1/embeddings"][-1]


def test_langchain_s_embeddings_are_of_the_text(embeddings: Embed, nim: EmulatorServer) -> None:
    scope = embeddings("False")
    assert [len(vector) for vector in scope["vectors"]] == [1024, 1024]
    assert inputs(nim) == ["Mars has two moons.", "Venus has none."]
    if not stack.NATIVE:
        asked = scope["embeddings"].model_copy(
            update={"model_kwargs": {"extra_body": {"input_type": "query"}}}
        )
        asked.embed_query("How many moons has Mars?")
        assert nim.requests[-1].body["input_type"] == "query"


def test_without_the_setting_langchain_sends_tokens_of_another_vocabulary(
    embeddings: Embed, nim: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In place of the vocabulary that is downloaded: a token for each byte.
    ranks = {bytes([number]): number for number in range(256)}
    letters = tiktoken.Encoding("bytes", pat_str=r".", mergeable_ranks=ranks, special_tokens={})
    monkeypatch.setattr(tiktoken, "get_encoding", lambda _name: letters)
    if refuses_tokens():
        with pytest.raises(openai.APIStatusError):
            embeddings("True")
        return
    embeddings("True")
    assert inputs(nim)[0] == list(b"Mars has two moons.")


def refuses_tokens() -> bool:
    name, number = release().rsplit(" ", 1)
    return name == "Llama Stack" and tuple(map(int, number.split("."))) <= (0, 4, 7)


@later("a model of 0.2.x is in run.yaml, or has to be listed")
def test_an_empty_list_of_models_after_a_first_start_before_the_nim(tmp_path: Path) -> None:
    program = shutil.which("ogx") or shutil.which("llama")
    assert program
    port = free_port()
    with StackServer(
        FOLDER / "agents.yaml",
        env={"NVIDIA_BASE_URL": f"http://127.0.0.1:{port}"},
        log_path=tmp_path / "log",
        python=Path(program).with_name("python"),
    ) as server:
        assert httpx.get(f"{server.url}/v1/models").json()["data"] == []
        with EmulatorServer("nim2", models=[LLAMA], port=port):
            asked = {
                "model": f"nvidia/{LLAMA}",
                "messages": [{"role": "user", "content": "Please count to 3"}],
            }
            answer = httpx.post(f"{server.url}/v1/chat/completions", json=asked, timeout=60)
            assert answer.json()["choices"][0]["message"]["content"] == "1 2 3"
            assert httpx.get(f"{server.url}/v1/models").json()["data"] == []


@later("the page says it of the newest releases")
def test_what_the_nvidia_distribution_needs_to_start(tmp_path: Path) -> None:
    program = shutil.which("ogx") or shutil.which("llama")
    assert program
    ogx = program.endswith("ogx")
    package = "ogx" if ogx else "llama_stack"
    spec = importlib.util.find_spec(package)
    assert spec
    assert spec.origin
    folder = Path(spec.origin).parent / "distributions" / "nvidia"
    path = folder / ("config.yaml" if ogx else "run-with-safety.yaml")
    command = [program, *(["run"] if ogx else ["stack", "run"]), str(path)]
    env = os.environ | {"SQLITE_STORE_DIR": str(tmp_path), "FILES_STORAGE_DIR": str(tmp_path)}

    def refused(**variables: str) -> str:
        ended = subprocess.run(
            command, env=env | variables, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode != 0
        return ended.stdout + ended.stderr

    assert "INFERENCE_MODEL" in refused()
    model = {"INFERENCE_MODEL": LLAMA}
    if ogx:
        assert "TLS required" in refused(**model)
    else:
        assert "SAFETY_MODEL" in refused(**model)
