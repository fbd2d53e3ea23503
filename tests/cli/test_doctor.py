"""``llama-stack-nvidia doctor`` in front of NIMs that work, and of all that does not."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from llama_stack_provider_nvidia.doctor import connection, probes, service
from llama_stack_provider_nvidia.run_yaml.installed_server import log_format_variable
from llama_stack_provider_nvidia.run_yaml.providers_dir import providers_dir_path
from nim_emulator import EmulatorServer
from scripts.child_process import free_port

from .conftest import EMBEDDER, LLM, RERANKER, Run, Terminal

KEY = "nvapi-do-not-show-me"
BASIC = [check.name for check in (*connection.CHECKS, *service.CHECKS)]
PROBES = [check.name for check in probes.CHECKS]
CHATS = PROBES[:6]
RETRIEVAL = {"embeddings": "embedding", "rerank": "rerank"}


def report(result: Result, status: int = 0) -> dict[str, dict[str, Any]]:
    """The checks of the one NIM in a JSON document, by their names."""
    assert result.exit_code == status, result.output
    document = json.loads(result.stdout)
    assert document["ok"] is (status == 0)
    (endpoint,) = document["endpoints"]
    assert endpoint["ok"] is document["ok"]
    return {check["check"]: check for check in endpoint["checks"]}


def statuses(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: check["status"] for name, check in checks.items()}


@pytest.mark.parametrize(
    ("dialect", "found", "skipped"),
    [
        ("nim1", "NIM 1.x, release 1.8.4 (dialect nim1): its models are owned by `system`", ()),
        ("nim1-1.15", "NIM 1.x, release 1.15.0 (dialect nim1)", ()),
        ("nim2", "NIM 2.x with vLLM, release 2.1.5 (dialect nim2-vllm)", ()),
        ("nim2-sglang", "NIM 2.x with SGLang, release 2.1.5 (dialect nim2-sglang)", ()),
        ("vllm", "vLLM 0.31.0 (dialect nim2-vllm)", ()),
        ("dynamo", "NVIDIA Dynamo (dialect dynamo): its /health", ()),
        ("generic", "a server with OpenAI's API (dialect generic): it says nothing", ()),
        ("hosted", "NVIDIA's hosted catalogue (dialect hosted)", ("logprobs", "completion")),
        ("retriever", "a NIM, release 2.2.0 (dialect generic)", CHATS),
        ("retriever1", "a NIM, release 1.10.0 (dialect generic)", CHATS),
    ],
)
def test_every_generation_is_known_and_tried(
    dialect: str, found: str, skipped: Sequence[str], run: Run
) -> None:
    # What comes at once is a warning.
    with EmulatorServer(dialect, tokens_per_second=50) as nim:
        checks = report(run("doctor", nim.url, "--probe", "--json", NVIDIA_API_KEY=KEY))
    assert list(checks) == BASIC + PROBES
    assert checks["generation"]["detail"].startswith(found)
    kinds = {entry["kind"] for entry in checks["models"]["data"]["models"]}
    away = {"tls", *skipped}
    away |= {name for name, kind in RETRIEVAL.items() if kind not in kinds}
    assert {name for name, status in statuses(checks).items() if status == "skipped"} == away
    assert set(statuses(checks).values()) == {"ok", "skipped"}
    assert all(one["seconds"] > 0 for one in checks.values() if one["data"].get("model"))


def test_probes_say_what_they_saw(run: Run) -> None:
    # Slow enough that a pause of the machine does not make another rate of it.
    with EmulatorServer(models=[LLM, EMBEDDER, RERANKER], tokens_per_second=10) as nim:
        checks = report(run("doctor", nim.url, "--probe", "--json"))
    assert set(statuses(checks).values()) == {"ok", "skipped"}
    assert checks["chat"]["data"]["model"] == LLM
    stream = checks["stream"]["data"]
    assert stream["tokens"] > 5
    assert 3 < stream["tokens_per_second"] < 40  # the emulator sends 10
    assert 0 < stream["first_token_seconds"] < checks["stream"]["seconds"]
    assert checks["tools"]["detail"] == f"{LLM} called get_weather"
    assert checks["logprobs"]["data"]["tokens"] > 0
    assert checks["embeddings"]["data"] == {"model": EMBEDDER, "dimension": 1024}
    assert checks["rerank"]["data"] == {"model": RERANKER, "first": 1}
    asked = [request.body for request in nim.requests if request.method == "POST"]
    assert {body["model"] for body in asked} == {LLM, EMBEDDER, RERANKER}


def test_a_model_can_be_chosen(run: Run) -> None:
    with EmulatorServer(models=["first/llm", "second/llm"]) as nim:
        checks = report(run("doctor", nim.url, "--probe", "--json", "--model", "second/llm"))
        assert checks["chat"]["data"]["model"] == "second/llm"
        assert checks["embeddings"]["detail"] == "--model names no embedding model that is here"
        checks = report(run("doctor", nim.url, "--probe", "--json", "--model", "third/llm"), 1)
    assert "third/llm is not among them: first/llm, second/llm" in checks["models"]["detail"]
    assert {checks[name]["status"] for name in PROBES} == {"not run"}


def unreachable() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    ("url", "failed", "detail", "remedy"),
    [
        (unreachable, "connection", "refuses connections", "Start the NIM, or correct the port"),
        (lambda: "http://nim.invalid:8000", "name", "has no address", "Check the spelling"),
        (
            lambda: "http://nim:8000/v1/chat/completions",
            "address",
            "one route",
            "Set url to http://nim:8000/v1",
        ),
    ],
)
def test_what_follows_a_basic_failure_is_not_run(
    url: Callable[[], str], failed: str, detail: str, remedy: str, run: Run
) -> None:
    checks = report(run("doctor", url(), "--probe", "--json"), 1)
    assert detail in checks[failed]["detail"]
    assert remedy in checks[failed]["remedy"]
    after = (BASIC + PROBES)[BASIC.index(failed) + 1 :]
    assert {(checks[name]["status"], checks[name]["detail"]) for name in after} == {
        ("not run", f"not tried, because {failed} failed")
    }
    assert [name for name, status in statuses(checks).items() if status == "failed"] == [failed]


@pytest.mark.parametrize(
    ("kind", "failed", "detail", "remedy"),
    [
        ("wrong-host", "tls", "mismatch", "set url to the name that is in it"),
        ("expired", "tls", "expired", "Renew the NIM's certificate"),
        ("unknown-ca", "tls", "unable to get local issuer", "set `network: {tls: {verify:"),
        ("client-certificate", "liveness", "breaks after TLS", "client_cert"),
    ],
)
def test_certificates(kind: Any, failed: str, detail: str, remedy: str, run: Run) -> None:
    with EmulatorServer(tls=kind) as nim:
        assert nim.certificates
        trusted = {"SSL_CERT_FILE": nim.certificates.ca_file}
        checks = report(run("doctor", nim.url, "--json", **trusted), 1)
    assert detail in checks[failed]["detail"]
    assert remedy in checks[failed]["remedy"]
    assert checks["key"]["status"] == "not run"


def test_good_certificate_and_the_wrong_scheme(run: Run) -> None:
    # What it warns of would come between: it is in this process.
    quiet = {"log_level": "critical"}
    with EmulatorServer(tls="good", **quiet) as nim, EmulatorServer(**quiet) as plain:
        assert nim.certificates
        trusted = {"SSL_CERT_FILE": nim.certificates.ca_file}
        checks = report(run("doctor", nim.url, "--json", **trusted))
        assert checks["tls"]["data"]["names"] == ["127.0.0.1"]
        assert checks["tls"]["data"]["expires_in_days"] > 0
        checks = report(run("doctor", nim.url.replace("https", "http"), "--json"), 1)
        assert "write https://" in checks["liveness"]["remedy"]
        checks = report(run("doctor", plain.url.replace("http", "https"), "--json"), 1)
        assert checks["tls"]["remedy"] == "The port speaks no TLS: write http:// in the address."


def test_a_certificate_that_is_not_checked_is_a_warning(run: Run, tmp_path: Path) -> None:
    with EmulatorServer(tls="unknown-ca") as nim:
        path = written(tmp_path, {"url": nim.url, "network": {"tls": {"verify": False}}})
        checks = report(run("doctor", path, "--json"))
    assert checks["tls"]["status"] == "warning"
    assert "network.tls.verify" in checks["tls"]["remedy"]


@pytest.mark.parametrize(
    ("dialect", "key", "detail", "remedy"),
    [
        ("nim2", "", "there is none, and it wants one (HTTP 401)", "export NVIDIA_API_KEY=..."),
        ("nim2", "nvapi-wrong", "it is refused (HTTP 401)", "Check that the key is whole"),
        ("hosted", "", "there is none, and the hosted catalogue wants one", "build.nvidia.com"),
        ("hosted", "nvapi-wrong", "it is refused (HTTP 403)", "build.nvidia.com"),
    ],
)
def test_keys(dialect: str, key: str, detail: str, remedy: str, run: Run) -> None:
    with EmulatorServer(dialect, api_key=KEY) as nim:
        result = run("doctor", nim.url, "--json", NVIDIA_API_KEY=key)
        checks = report(result, 1)
        assert checks["key"]["detail"] == detail
        assert remedy in checks["key"]["remedy"]
        right = run("doctor", nim.url, "--probe", NVIDIA_API_KEY=KEY)
    assert right.exit_code == 0, right.output
    assert KEY not in right.output
    assert "nvapi-wrong" not in result.output


@pytest.mark.parametrize(
    ("fault", "failed", "remedy"),
    [
        ({"fault": "status", "path": "/v1/health/ready"}, "readiness", "has loaded its model"),
        ({"fault": "status", "path": "*"}, "liveness", "is out of order"),
        ({"fault": "redirect", "path": "*"}, "liveness", "Set url to where it leads"),
        ({"fault": "not-http", "path": "*"}, "liveness", "the NIM's HTTP port"),
        ({"fault": "hang-up", "path": "/v1/health/*"}, "liveness", "the NIM's HTTP port"),
        ({"fault": "bad-body", "path": "/v1/models"}, "models", "Check that `url` leads to a NIM"),
    ],
)
def test_faults_of_the_service(
    fault: dict[str, Any], failed: str, remedy: str, nim: EmulatorServer, run: Run
) -> None:
    nim.faults([{**fault, "times": None}])
    checks = report(run("doctor", nim.url, "--json"), 1)
    assert [name for name, status in statuses(checks).items() if status == "failed"] == [failed]
    assert remedy in checks[failed]["remedy"]


@pytest.mark.parametrize(
    ("fault", "probe", "remedy"),
    [
        ({"fault": "status", "status": 429}, "chat", "`requests_per_minute`"),
        ({"fault": "status", "status": 500}, "tools", "`max_concurrent_requests`"),
        ({"fault": "no-content"}, "stream", "another model"),
        ({"fault": "tool-calls", "kind": "cut-arguments"}, "tools", "tool-call parser"),
        ({"fault": "no-answer"}, "json schema", "structured_output"),
    ],
)
def test_faults_of_answers(
    fault: dict[str, Any], probe: str, remedy: str, nim: EmulatorServer, run: Run
) -> None:
    words = {"chat": "Say hello", "stream": "Count", "tools": "Paris", "json schema": "json_schema"}
    nim.faults([{**fault, "path": "/v1/chat/completions", "match": words[probe]}])
    checks = report(run("doctor", nim.url, "--json", "--probe", "--timeout", "6"), 1)
    assert [name for name, status in statuses(checks).items() if status == "failed"] == [probe]
    assert remedy in checks[probe]["remedy"]


def test_a_server_without_a_tool_parser(run: Run) -> None:
    with EmulatorServer("vllm", tool_parser=False) as nim:
        checks = report(run("doctor", nim.url, "--json", "--probe"), 1)
    assert "--enable-auto-tool-choice" in checks["tools"]["remedy"]


def written(folder: Path, *configs: dict[str, Any], **more: Any) -> str:
    """Write a run.yaml with a provider for each of the settings."""
    entry = {"provider_type": "remote::nvidia", "module": "llama_stack_provider_nvidia"}
    entries = [
        {"provider_id": f"nims-{number}", **entry, "config": config, **more}
        for number, config in enumerate(configs)
    ]
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump({"version": "2", "providers": {"inference": entries}}))
    return str(path)


def test_all_nims_of_a_run_yaml_are_checked(nim: EmulatorServer, run: Run, tmp_path: Path) -> None:
    with EmulatorServer("retriever", api_key=KEY) as retriever:
        path = written(
            tmp_path,
            {
                "endpoints": [
                    {"name": "chat", "url": nim.url},
                    {"name": "search", "url": retriever.url, "api_key": "${env.THEIR_KEY}"},
                ]
            },
            {"url": unreachable()},
        )
        result = run("doctor", path, "--json", "--probe", "--model", LLM, THEIR_KEY=KEY)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    found = [(one["provider"], one["name"], one["ok"]) for one in document["endpoints"]]
    assert found == [("nims-0", "chat", True), ("nims-0", "search", True), ("nims-1", None, False)]
    assert document["target"] == path
    elsewhere = document["endpoints"][1]["checks"]
    (chat,) = (check for check in elsewhere if check["check"] == "chat")
    assert (chat["status"], chat["detail"]) == (
        "skipped",
        "--model names no llm model that is here",
    )
    assert KEY not in result.output


def test_a_model_that_none_of_several_nims_has(
    nim: EmulatorServer, run: Run, tmp_path: Path
) -> None:
    path = written(tmp_path, {"url": nim.url}, {"url": nim.url})
    result = run("doctor", path, "--json", "--model", "no/such", "--model", EMBEDDER)
    assert result.exit_code == 1
    *nims, missing = json.loads(result.stdout)["endpoints"]
    assert [one["ok"] for one in nims] == [True, True]
    assert missing["name"] == "--model no/such"
    assert missing["checks"][0]["detail"] == "no NIM lists it"


def test_a_server_without_a_list_cannot_tell_of_the_key(nim: EmulatorServer, run: Run) -> None:
    nim.faults([{"fault": "status", "status": 404, "path": "/v1/models", "times": None}])
    checks = report(run("doctor", nim.url, "--json", NVIDIA_API_KEY=KEY), 1)
    assert checks["key"]["status"] == "skipped"
    assert checks["key"]["detail"] == "nothing to check it with: its /models answers HTTP 404"


def test_a_configuration_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, {"url": "http://nim:8000", "tiemout": 3, "api_key": KEY})
    result = run("doctor", path, "--json")
    checks = report(result, 1)
    assert "tiemout" in checks["configuration"]["detail"]
    assert KEY not in result.output
    path = written(tmp_path, {"url": "${env.NIM_OF_MINE}"})
    checks = report(run("doctor", path, "--json"), 1)
    assert checks["configuration"]["detail"] == "config.url: the variable NIM_OF_MINE is not set"
    assert "export NIM_OF_MINE=..." in checks["configuration"]["remedy"]


def test_the_built_in_provider_is_told_apart(nim: EmulatorServer, run: Run, tmp_path: Path) -> None:
    path = written(tmp_path, {"url": nim.url}, module=None)
    checks = report(run("doctor", path, "--json"), 1)
    assert "module: llama_stack_provider_nvidia" in checks["provider"]["remedy"]
    assert checks["models"]["status"] == "ok"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("ftp://localhost:8000", "must start with http:// or https://"),
        ("http://", "names no host"),
        ("http://user:secret@nim", "must not hold a user name"),
        ("text.txt", "no enabled inference provider"),
        ("broken.yaml", "is not valid YAML"),
        (".", "cannot be read"),
    ],
)
def test_bad_usage(target: str, said: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("apis: []\n")
    (tmp_path / "broken.yaml").write_text("a: [1\nb: 2\n")
    result = run("doctor", target)
    assert result.exit_code == 2
    assert said in result.output
    assert "secret" not in result.output


def test_the_environment_names_the_nim(nim: EmulatorServer, run: Run) -> None:
    result = run("doctor", NVIDIA_BASE_URL=nim.url)
    assert result.exit_code == 0
    assert nim.url in result.stdout


def test_lines_for_those_who_read_them_later(nim: EmulatorServer, run: Run) -> None:
    nim.faults([{"fault": "status", "path": "/v1/chat/completions", "times": None}])
    result = run("doctor", nim.url, "--probe")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert (lines[0], lines[1].split()) == (f"{nim.url}/v1", ["check", "result", "time", "detail"])
    (chat,) = (line for line in lines if line.startswith("chat "))
    assert "failed" in chat
    # One remedy for all that it mends, and what failed is counted.
    assert [
        line for line in lines if line.startswith("chat, stream, tools, json schema, logprobs:")
    ]
    assert lines[-1] == "5 failed"
    progress = result.stderr.splitlines()
    assert progress[0] == f"Checking {nim.url}"
    assert progress[1:4] == [f"{nim.url}/v1", "  address ... ok", "  name ... ok"]
    assert progress[-1] == "  rerank ... ok"


def test_a_table_on_a_terminal(nim: EmulatorServer, terminal: Callable[..., Terminal]) -> None:
    with terminal("doctor", nim.url, "--probe") as shown:
        status, text = shown.ended()
    assert status == 0
    assert "called get_weather" in text
    assert "all well" in text
    assert "... ok" not in text


@pytest.mark.parametrize("key", ["nvapi-do-not-show-me", "gateway-4f1c9e07a3b2d5e8"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/health/ready", "/v1/chat/completions", "*"])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_key_that_the_nim_quotes_is_not_shown(
    key: str, path: str, as_json: bool, nim: EmulatorServer, run: Run
) -> None:
    for quote in (key, key.upper(), f"{'x' * 490}{key}", key[2:-2]):
        said = {"error": {"message": f"no: {quote}", "code": quote, "type": quote, "param": quote}}
        nim.script([{"path": path, "status": 400, "body": said}] * 40)
        options = ["--json"] if as_json else []
        result = run("doctor", nim.url, "--probe", *options, NVIDIA_API_KEY=key)
        nim.clear()
        shown = "".join(result.output.split()).lower()
        runs = {key[n : n + 8].lower() for n in range(6, len(key) - 8)}
        assert [run for run in runs if run in shown] == []


def test_a_listed_name_that_quotes_the_key_is_not_shown(run: Run) -> None:
    with EmulatorServer(models=[LLM, f"acme/{KEY}"]) as nim:
        result = run("doctor", nim.url, "--json", NVIDIA_API_KEY=KEY)
    assert KEY.removeprefix("nvapi-") not in result.output


def test_what_the_configuration_knows_of_models_counts(
    nim: EmulatorServer, run: Run, tmp_path: Path
) -> None:
    overrides = {LLM: {"tools": False}, EMBEDDER: {"embedding_dimension": 7}}
    path = written(tmp_path, {"url": nim.url, "model_overrides": overrides})
    checks = report(run("doctor", path, "--probe", "--json"), 1)
    assert checks["tools"]["detail"] == f"{LLM} was not trained to call tools"
    assert checks["embeddings"]["detail"] == f"{EMBEDDER} returned 1024 numbers instead of 7"


def test_a_rerank_model_with_its_own_url_can_be_named(run: Run, tmp_path: Path) -> None:
    with EmulatorServer(models=[LLM]) as nim, EmulatorServer("retriever") as ranker:
        urls = {RERANKER: f"{ranker.url}/v1/ranking"}
        path = written(tmp_path, {"url": nim.url, "rerank_model_to_url": urls})
        checks = report(run("doctor", path, "--probe", "--json", "--model", RERANKER), 0)
    assert checks["rerank"]["status"] == "ok"
    assert checks["models"]["status"] == "ok"


@pytest.mark.parametrize("value", [None, "text", "JSON"])
def test_a_server_that_draws_tracebacks_is_warned_of(
    value: str | None, nim: EmulatorServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"provider_id": "nvidia", "provider_type": "remote::nvidia"}
    entry |= {"module": "llama_stack_provider_nvidia", "config": {"url": nim.url}}
    folder = str(providers_dir_path())
    config = {"external_providers_dir": folder, "providers": {"inference": [entry]}}
    Path("run.yaml").write_text(yaml.safe_dump(config))
    for name in ("LLAMA_STACK_LOG_FORMAT", "OGX_LOG_FORMAT"):
        monkeypatch.delenv(name)
        if value is not None:
            monkeypatch.setenv(name, value)
    checks = report(run("doctor", "run.yaml", "--json"))
    variable = log_format_variable()
    if variable is None or value == "JSON":
        assert "server log" not in checks
    else:
        assert checks["server log"]["status"] == "warning"
        assert checks["server log"]["remedy"] == f"Start the server with {variable}=json."
        # Once, however many providers the server has.
        config["providers"]["inference"].append({**entry, "provider_id": "second"})
        Path("run.yaml").write_text(yaml.safe_dump(config))
        assert run("doctor", "run.yaml", "--json").stdout.count('"server log"') == 1
    # An address says nothing of a server.
    assert "server log" not in report(run("doctor", nim.url, "--json"))
