"""Rules, alerts and the dashboard: valid, tested, and about metrics that exist."""

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from llama_stack_provider_nvidia.nim.errors import types as errors
from nim_emulator import EmulatorServer
from scripts import deploy_env, deploy_tools
from scripts.child_process import Child, free_port, taken
from scripts.stack_server import ROOT
from tests.http_limits import NOT_KEPT
from tests.matrix.servers import model, stack_server

RULES = ROOT / "deploy" / "monitoring" / "rules.yaml"
UNIT_TESTS = ROOT / "tests" / "deploy" / "rules_test.yaml"
DASHBOARD = ROOT / "deploy" / "kubernetes" / "components" / "monitoring" / "dashboard.json"
NIMS = ("nim1", "nim2", "nim2-sglang")
LLM = "meta/llama-3.1-8b-instruct"
# kube-state-metrics: there is none without a cluster. The unit tests of the rules have them.
FROM_CLUSTER = "kube_"


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> dict[str, str]:
    """The dashboard's queries by their panel's title, with its variables filled in."""
    found = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "1m").replace("$model", ".*")
            found[f"{panel['title']} {target['refId']}"] = query
    return found


def promtool(*words: str) -> str:
    done = subprocess.run(
        [deploy_tools.path("promtool"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules() -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert f"{len(rules())} rules found" in said


def test_the_alerts_fire_when_they_should() -> None:
    promtool("test", "rules", str(UNIT_TESTS))
    # And each was seen firing.
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    fired = re.findall(r'alertname="(\w+)",alertstate="firing"', UNIT_TESTS.read_text())
    assert set(fired) == alerts


def test_the_rules_name_errors_that_exist() -> None:
    named: set[str] = set()
    for rule in rules():
        for value in re.findall(r'error_type=~?"([^"]+)"', rule["expr"]):
            named |= set(value.split("|"))
    assert {"NIMConnectionError", "cancelled"} <= named
    assert all(hasattr(errors, name) for name in named - {"cancelled"})


def missing(given: Any, read: Any, path: str = "") -> list[str]:
    """The places of a document that another one lacks or has otherwise."""
    if isinstance(given, dict) and isinstance(read, dict):
        return [
            place
            for name, value in given.items()
            for place in missing(value, read.get(name), f"{path}/{name}")
        ]
    if isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        return [
            place
            for index, (one, other) in enumerate(zip(given, read, strict=True))
            for place in missing(one, other, f"{path}/{index}")
        ]
    return [] if given == read else [path]


def test_grafana_s_types_know_all_of_the_dashboard() -> None:
    command = [deploy_env.make(), "-m", "scripts.dashboard_types", DASHBOARD]
    done = subprocess.run(
        [*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    given = json.loads(DASHBOARD.read_text())
    # They lack the text that the list of variables shows.
    assert missing(given, json.loads(done.stdout)) == ["/templating/list/1/definition"]
    # A mistyped field would be found.
    given["panels"][1]["fieldConfig"]["defaults"]["units"] = "s"
    assert "/panels/1/fieldConfig/defaults/units" in missing(given, json.loads(done.stdout))


class Prometheus(Child):
    """A real Prometheus that loads our rules and scrapes what it is told."""

    def __init__(self, folder: Path, targets: dict[str, tuple[str, str]]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        jobs = [
            {
                "job_name": name,
                "metrics_path": path,
                "static_configs": [{"targets": [address], "labels": {"namespace": "n"}}],
            }
            for name, (address, path) in targets.items()
        ]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": jobs,
        }
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        command = [
            str(deploy_tools.path("prometheus")),
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        log = folder / "prometheus.log"
        super().__init__("Prometheus", command, log, ready=lambda: taken(port))

    def get(self, path: str, **parameters: str) -> Any:
        return httpx.get(f"{self.url}{path}", params=parameters, trust_env=False).json()

    def query(self, query: str) -> list[dict[str, Any]]:
        answer = self.get("/api/v1/query", query=query)
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def wait_for(self, query: str, seconds: float = 60) -> list[dict[str, Any]]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.query(query):
                return found
            time.sleep(0.5)
        raise AssertionError(query)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus beside a stack server and NIMs that have had requests of each kind."""
    folder = tmp_path_factory.mktemp("monitoring")
    port = free_port()
    environ = {
        "OGX_METRICS_ENDPOINT_ENABLED": "true",
        "OGX_METRICS_HOST": "127.0.0.1",
        "OGX_METRICS_PORT": str(port),
    }
    down = f"http://127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as running:
        nims = {name: running.enter_context(EmulatorServer(name, [LLM])) for name in NIMS}
        providers = {name: {"url": nim.url} for name, nim in nims.items()}
        providers["down"] = {"url": down, "max_retries": 0}
        models = [model(name, LLM) for name in providers]
        server = running.enter_context(stack_server(folder, providers, models, env=environ))
        targets = {
            "stack": (f"127.0.0.1:{port}", "/metrics"),
            **{
                name: (nim.url.removeprefix("http://"), "/v1/metrics") for name, nim in nims.items()
            },
        }
        made = running.enter_context(Prometheus(folder, targets))
        for name in targets:
            made.wait_for(f'up{{job="{name}"}} == 1')
        with httpx.Client(
            base_url=server.url, trust_env=False, timeout=60, limits=NOT_KEPT
        ) as http:
            # Series are there before the last of their increases, or have no rate.
            for _ in range(2):
                ask(http)
                failed = f"{DURATION}_count{{error_type='NIMConnectionError'}}"
                made.wait_for(f"count_over_time({failed}[1m]) >= 3")
        yield made


DURATION = "gen_ai_client_operation_duration_seconds"


def ask(http: httpx.Client) -> None:
    for provider, stream in (*((name, True) for name in NIMS), ("nim2", False), ("down", False)):
        body = {
            "model": f"{provider}/{LLM}",
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": stream,
        }
        answer = http.post("/v1/chat/completions", json=body)
        assert answer.status_code == (502 if provider == "down" else 200), answer.text


def test_prometheus_loads_every_rule(prometheus: Prometheus) -> None:
    prometheus.wait_for("nim_requests:rate5m")
    groups = prometheus.get("/api/v1/rules")["data"]["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    assert len(loaded) == len(rules())
    assert {rule["health"] for rule in loaded} == {"ok"}


@pytest.mark.parametrize("name", queries())
def test_the_dashboard_s_panels_have_data(prometheus: Prometheus, name: str) -> None:
    prometheus.wait_for("nim:generated_tokens:rate5m")
    found = prometheus.wait_for(queries()[name], 90 if "Alerts" in name else 30)
    assert all(label is not None for series in found for label in series["metric"].values())
    wanted = set(re.findall(r"\{\{(\w+)\}\}", legends()[name]))
    for series in found:
        # An empty label is none: an error has no response.
        assert wanted - set(series["metric"]) <= {"error_type"}, series["metric"]


@pytest.mark.parametrize("name", NIMS)
def test_each_kind_of_nim_has_the_recorded_metrics(prometheus: Prometheus, name: str) -> None:
    recorded = [rule["record"] for rule in rules() if rule.get("record", "").startswith("nim:")]
    assert len(recorded) == 4
    for record in recorded:
        (series,) = prometheus.wait_for(f'{record}{{job="{name}"}}')
        assert series["metric"]["model_name"] == LLM
    assert prometheus.wait_for(f'nim:generated_tokens:rate5m{{job="{name}"}} > 0')


def legends() -> dict[str, str]:
    return {
        f"{panel['title']} {target['refId']}": target.get("legendFormat", "")
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", [])
    }


def test_the_alerts_see_metrics_that_are_there(prometheus: Prometheus) -> None:
    prometheus.wait_for("nim_requests:rate5m")
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        names = set(re.findall(r"\b((?:gen_ai|nim_requests|nim|kube)[_:][\w:]+)\b", rule["expr"]))
        names = {name for name in names if not name.startswith("gen_ai_") or "_client_" in name}
        for name in names:
            assert name.startswith(FROM_CLUSTER) or prometheus.wait_for(name), name
            if ":" in name:
                assert name in recorded
    # What a label is compared with has that label.
    for label in ("error_type", "server_address", "server_port", "gen_ai_request_model"):
        assert prometheus.query(f'nim_requests:rate5m{{{label}!=""}}'), label


def test_a_nim_that_is_down_is_about_to_alert(prometheus: Prometheus) -> None:
    (alert,) = prometheus.wait_for('ALERTS{alertname="NIMUnreachable"}')
    assert alert["metric"]["severity"] == "critical"
    assert alert["metric"]["server_address"] == "127.0.0.1"
