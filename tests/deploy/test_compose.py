"""The compose file: valid, consistent, and its configuration served by real programs."""

import contextlib
import http.server
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from nim_emulator import EmulatorServer
from scripts import deploy_tools
from scripts.private_postgres import PrivatePostgres
from scripts.stack_server import ROOT, StackServer
from tests.matrix.servers import QUIET

COMPOSE = ROOT / "deploy" / "compose"
RUN = ROOT / "deploy" / "kubernetes" / "base" / "run.yaml"
SECRETS = {"POSTGRES_PASSWORD": "secret", "GRAFANA_PASSWORD": "other"}
EMULATORS = ("emulator", "emulator-retrieval")
PROFILES = ("emulator", "nim")


def resolved(*, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    """The file as docker-compose resolves it; it needs no daemon for that."""
    command = [str(deploy_tools.path("docker-compose")), "-f", str(COMPOSE / "compose.yaml")]
    for profile in PROFILES:
        command += ["--profile", profile]
    environ = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **variables}
    return subprocess.run(
        [*command, "config"], capture_output=True, text=True, env=environ, check=check, timeout=60
    )


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(resolved(**SECRETS).stdout)["services"]
    return found


def test_passwords_must_be_set() -> None:
    for name in SECRETS:
        rest = {other: value for other, value in SECRETS.items() if other != name}
        done = resolved(check=False, **rest)
        assert done.returncode != 0
        assert name in done.stderr
    named = re.findall(r"^(\w+)=", (COMPOSE / ".env.example").read_text(), re.MULTILINE)
    asked = set(re.findall(r"\$\{(\w+)", (COMPOSE / "compose.yaml").read_text()))
    assert set(named) == asked - {"STACK", "PORT"}


def test_what_is_mounted_is_there(services: dict[str, Any]) -> None:
    mounted = []
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.partition(":")[0]
            if source.startswith("/"):
                mounted.append(Path(source))
    assert RUN in mounted
    assert [path for path in mounted if not path.is_file()] == []


def test_ports_are_open_to_this_machine_alone() -> None:
    declared = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    ports = [port for service in declared.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_have_a_version(services: dict[str, Any]) -> None:
    bought = [service["image"] for service in services.values() if "build" not in service]
    assert len(bought) == 6
    assert all(re.search(r":v?\d[\w.]*$", image) for image in bought)
    # The same NIMs as in Kubernetes.
    objects = [
        found
        for path in (ROOT / "deploy" / "kubernetes" / "base").glob("nim-*.yaml")
        for found in yaml.safe_load_all(path.read_text())
        if found["kind"] == "NIMService"
    ]
    assert len(objects) == 3
    for found in objects:
        image = found["spec"]["image"]
        used = services[found["metadata"]["name"]]["image"]
        assert used == f"{image['repository']}:{image['tag']}"


def test_built_images_have_their_stage(services: dict[str, Any]) -> None:
    text = (ROOT / "Containerfile").read_text()
    stages = set(re.findall(r"^FROM .* AS (\w+)$", text, re.MULTILINE))
    for name in ("server", *EMULATORS):
        build = services[name]["build"]
        assert Path(build["context"]) == ROOT
        assert build.get("target", "build") in stages
    assert all(services[name]["build"]["target"] == "emulator" for name in EMULATORS)


def hosts() -> dict[str, str]:
    """The NIMs that run.yaml names inside the network, with their models."""
    (provider,) = yaml.safe_load(RUN.read_text())["providers"]["inference"]
    found = {}
    for endpoint in provider["config"]["endpoints"]:
        inside = re.search(r":=http://(\w+):8000", endpoint["url"])
        if inside:
            (found[inside[1]],) = endpoint["models"]
    return found


def test_each_nim_is_reached_under_its_name(services: dict[str, Any]) -> None:
    assert set(hosts()) <= set(services)
    emulated: dict[str, str] = {}
    for name in EMULATORS:
        emulator = services[name]
        aliases = emulator["networks"]["default"]["aliases"]
        models = [word.partition("=")[2] for word in emulator["command"] if "--model" in word]
        assert sorted(hosts()[alias] for alias in aliases) == sorted(models)
        assert not set(aliases) & set(emulated)
        emulated |= dict.fromkeys(aliases, name)
        # Never both: the names would lead to either.
        assert emulator["profiles"] == ["emulator"]
    assert set(emulated) == set(hosts())
    # Three times the metrics of one model would be three times its tokens.
    assert [name for name, by in emulated.items() if by == emulated["chat"]] == ["chat"]
    assert all(services[name]["profiles"] == ["nim"] for name in hosts())
    config = yaml.safe_load((COMPOSE / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    targets = {target for one in job["static_configs"] for target in one["targets"]}
    assert targets == {f"{name}:8000" for name in hosts()}


def test_promtool_takes_the_configuration(services: dict[str, Any]) -> None:
    tool = str(deploy_tools.path("promtool"))
    path = COMPOSE / "prometheus.yml"
    done = subprocess.run(
        [tool, "check", "config", "--syntax-only", "--lint=all", "--lint-fatal", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    mounts = {
        volume["target"] if isinstance(volume, dict) else volume.split(":")[1]
        for volume in services["prometheus"]["volumes"]
    }
    assert set(yaml.safe_load(path.read_text())["rule_files"]) <= mounts


def test_grafana_finds_its_data_source_and_its_dashboard(services: dict[str, Any]) -> None:
    (source,) = yaml.safe_load((COMPOSE / "grafana/datasources.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((COMPOSE / "grafana/dashboards.yaml").read_text())["providers"]
    folder = provider["options"]["path"]
    mounts = {
        volume["target"] if isinstance(volume, dict) else volume.split(":")[1]
        for volume in services["grafana"]["volumes"]
    }
    assert f"{folder}/llama-stack.json" in mounts
    provisioning = {str(Path(m).parent.name) for m in mounts if "/provisioning/" in m}
    assert provisioning == {"datasources", "dashboards"}


class Receiver:
    """A server that takes OTLP at the path where Prometheus takes it."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.metrics: dict[str, set[str]] = {}
        self.services: set[str] = set()
        self.came = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                outer.take(self.path, ExportMetricsServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def take(self, path: str, sent: ExportMetricsServiceRequest) -> None:
        self.paths.add(path)
        for resource in sent.resource_metrics:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.services.add(names["service.name"])
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.histogram.data_points:
                        found = self.metrics.setdefault(metric.name, set())
                        found |= {attribute.key for attribute in point.attributes}
        if "gen_ai.client.operation.duration" in self.metrics:
            self.came.set()

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture(scope="module")
def composed(
    services: dict[str, Any], receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[StackServer]]:
    """Two servers with the variables of the compose file, one PostgreSQL, one emulated NIM each."""
    with contextlib.ExitStack() as running:
        database = running.enter_context(PrivatePostgres())
        variables = dict(services["server"]["environment"])
        # What names have been changed from is what a compose network resolves.
        assert variables["POSTGRES_HOST"] == "database"
        variables |= database.variables
        otlp = variables["OTEL_EXPORTER_OTLP_ENDPOINT"]
        assert otlp.startswith("http://prometheus:9090/")
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = otlp.replace("prometheus:9090", receiver.address)
        variables["OTEL_METRIC_EXPORT_INTERVAL"] = "500"
        variables["SERVER_HOST"] = "127.0.0.1"
        for name, model in hosts().items():
            nim = running.enter_context(EmulatorServer("nim2", [model]))
            variables[f"{name.upper()}_URL"] = nim.url
        yield [
            running.enter_context(
                StackServer(
                    RUN,
                    env={**QUIET, **variables},
                    log_path=tmp_path_factory.mktemp("composed") / "log",
                )
            )
            for _ in range(2)
        ]


def test_what_one_server_stored_another_one_has(composed: list[StackServer]) -> None:
    one, other = composed
    body = {
        "model": f"nvidia/{hosts()['chat']}",
        "messages": [{"role": "user", "content": "Remember the word albatross"}],
    }
    with httpx.Client(trust_env=False, timeout=60) as http:
        made = http.post(f"{one.url}/v1/chat/completions", json=body)
        assert made.status_code == 200, made.text
        for _ in range(40):
            listed = http.get(f"{other.url}/v1/chat/completions").json()["data"]
            if listed:
                break
            threading.Event().wait(0.25)
        (chat,) = listed
    assert chat["id"] == made.json()["id"]
    assert "albatross" in json.dumps(chat)


def test_metrics_go_where_prometheus_takes_them(
    composed: list[StackServer], receiver: Receiver
) -> None:
    body = {
        "model": f"nvidia/{hosts()['chat']}",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
    }
    url = f"{composed[0].url}/v1/chat/completions"
    assert httpx.post(url, json=body, trust_env=False, timeout=60).status_code == 200
    assert receiver.came.wait(30)
    assert receiver.paths == {"/api/v1/otlp/v1/metrics"}
    labels = receiver.metrics["gen_ai.client.operation.duration"]
    assert {"gen_ai.request.model", "gen_ai.provider.name", "server.address"} <= labels
