"""The files of deploy/ and the Containerfile are valid, consistent, and readable by the code."""

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from llama_stack_provider_nvidia.config.provider import NVIDIAConfig
from scripts import deploy_files, matrix, venvs
from scripts.stack_server import ROOT

from .docs_tools import docs_tools as docs_tools

KUBERNETES = ROOT / "deploy" / "kubernetes"
TARGETS = ["base", *sorted(f"overlays/{path.name}" for path in KUBERNETES.glob("overlays/*"))]
PAGE = (ROOT / "docs" / "deployment.md").read_text()
CONTAINERFILE = (ROOT / "Containerfile").read_text()
CUSTOM = (
    "apps.nvidia.com/",
    "nvidia.com/",
    "monitoring.coreos.com/",
    "gateway.networking.k8s.io/",
)
Objects = list[dict[str, Any]]
VARIABLE = re.compile(r"\$\{env\.(\w+)(?::=([^}]*))?\}")


@cache
def rendered(kubectl: Path, target: str) -> str:
    command = [str(kubectl), "kustomize", str(KUBERNETES / target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    # Deprecated fields are told there.
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def objects(docs_tools: Path, target: str) -> Objects:
    return [*yaml.safe_load_all(rendered(docs_tools / "kubectl", target))]


def of_kind(objects: Objects, kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


def pods(objects: Objects) -> Iterator[dict[str, Any]]:
    """The templates of the pods that are ours."""
    for found in objects:
        if found["kind"] == "Deployment":
            yield found["spec"]["template"]
        elif found["kind"] == "CronJob":
            yield found["spec"]["jobTemplate"]["spec"]["template"]


def the_server(objects: Objects) -> dict[str, Any]:
    deployment = of_kind(objects, "Deployment")["llama-stack"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


def run_text(objects: Objects) -> str:
    (config,) = (
        found
        for name, found in of_kind(objects, "ConfigMap").items()
        if name.startswith("llama-stack-run-")
    )
    return str(config["data"]["run.yaml"])


def run_config(objects: Objects) -> dict[str, Any]:
    """The file as the server reads it, with the variables that its pod has."""
    values = {entry["name"]: entry.get("value", "x") for entry in the_server(objects)["env"]}
    loaded: dict[str, Any] = yaml.safe_load(run_text(objects))
    return substituted(loaded, values)


def substituted(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: substituted(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [substituted(item, values) for item in value]
    if not isinstance(value, str):
        return value
    return VARIABLE.sub(lambda found: values.get(found[1], found[2] or ""), value)


def everywhere(value: Any, key: str) -> Iterator[Any]:
    """Every value under a key, at any depth."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key:
                yield item
            yield from everywhere(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from everywhere(item, key)


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def test_kubernetes_takes_every_object(
    docs_tools: Path, target: str, objects: Objects, tmp_path: Path
) -> None:
    path = tmp_path / "objects.yaml"
    path.write_text(rendered(docs_tools / "kubectl", target))
    command = [str(docs_tools / "kubernetes-validate"), "--strict", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    own = [found for found in objects if not found["apiVersion"].startswith(CUSTOM)]
    assert said.count(" passed for resource ") == len(own) > 8


def schemas() -> dict[str, Any]:
    found = {}
    for path in (ROOT / "tests" / "repo" / "schemas").glob("*.yaml"):
        loaded = yaml.safe_load(path.read_text())
        definitions = loaded.pop("definitions", {})
        found |= {kind: {**schema, "definitions": definitions} for kind, schema in loaded.items()}
    return found


def test_the_operators_take_their_resources(objects: Objects) -> None:
    known = schemas()
    custom = [found for found in objects if found["apiVersion"].startswith(CUSTOM)]
    assert custom
    for found in custom:
        jsonschema.validate(found, known[found["kind"]], jsonschema.Draft202012Validator)


def test_selectors_find_the_server_and_nothing_else(objects: Objects) -> None:
    deployment = of_kind(objects, "Deployment")["llama-stack"]
    service = of_kind(objects, "Service")["llama-stack"]
    (budget,) = of_kind(objects, "PodDisruptionBudget").values()
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert matches(selector, deployment["spec"]["template"]["metadata"]["labels"])
        found = [matches(selector, pod["metadata"]["labels"]) for pod in pods(objects)]
        assert found.count(True) == 1
    (scaler,) = of_kind(objects, "HorizontalPodAutoscaler").values()
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {str(entry["labelSelector"]["matchLabels"]) for entry in spread} == {str(selectors[0])}


def test_ports_volumes_and_accounts_are_there(objects: Objects) -> None:
    server = the_server(objects)
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    service = of_kind(objects, "Service")["llama-stack"]
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert server[probe]["httpGet"] == {"path": "/v1/health", "port": "http"}
    config = run_config(objects)["server"]
    assert (config["host"], config["port"]) == ("0.0.0.0", ports["http"])
    policy = of_kind(objects, "NetworkPolicy")["llama-stack"]
    named = {p["port"] for rule in policy["spec"]["ingress"] for p in rule["ports"]}
    assert named == set(ports)
    for pod in pods(objects):
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        mounted = {m["name"] for m in everywhere(pod, "volumeMounts") for m in m}
        assert mounted == volumes
        assert pod["spec"]["serviceAccountName"] in of_kind(objects, "ServiceAccount")
        maps = {entry["name"] for entry in everywhere(pod, "configMap")}
        assert maps <= set(of_kind(objects, "ConfigMap"))


def test_the_server_is_told_everything_that_its_run_yaml_asks_for(objects: Objects) -> None:
    variables = dict(VARIABLE.findall(run_text(objects)))
    asked = {name for name, default in variables.items() if not default}
    told = {entry["name"] for entry in the_server(objects)["env"]}
    assert asked - told == {"POSTGRES_PASSWORD"} - told
    assert "NVIDIA_API_KEY" in asked
    # All of the database, or nothing.
    database = {name for name in variables if name.startswith("POSTGRES_")} - {"POSTGRES_PORT"}
    assert ("STORE" in told) == (database <= told) == bool(database & told)


def test_every_secret_is_made_by_somebody(objects: Objects) -> None:
    assert not of_kind(objects, "Secret")
    named = {reference["name"] for reference in everywhere(objects, "secretKeyRef")}
    named |= {name for names in everywhere(objects, "pullSecrets") for name in names}
    named |= {*everywhere(objects, "authSecret"), *everywhere(objects, "pullSecret")}
    named |= {reference["name"] for reference in everywhere(objects, "secretRef")}
    explained = PAGE + "".join(
        path.read_text() for path in KUBERNETES.glob("*/*/kustomization.yaml")
    )
    assert {name for name in named if name not in explained} == set()


def test_nims_have_their_cache_and_their_policy(objects: Objects) -> None:
    services = of_kind(objects, "NIMService")
    caches = of_kind(objects, "NIMCache")
    assert set(services) == set(caches)
    guarded = of_kind(objects, "NetworkPolicy")["nims"]["spec"]["podSelector"]
    (expression,) = guarded["matchExpressions"]
    assert expression["key"] == "app"
    assert set(services) <= set(expression["values"])
    for name, service in services.items():
        spec = service["spec"]
        assert spec["storage"]["nimCache"]["name"] == name
        image = f"{spec['image']['repository']}:{spec['image']['tag']}"
        assert image == caches[name]["spec"]["source"]["ngc"]["modelPuller"]
        for described in everywhere(spec, "describedObject"):
            assert (described["kind"], described["name"]) == ("Service", name)


def test_the_provider_s_configuration_is_taken_and_leads_to_the_nims(objects: Objects) -> None:
    run = run_config(objects)
    (entry,) = run["providers"]["inference"]
    assert entry["provider_type"] == "remote::nvidia"
    assert entry["module"] == "llama_stack_provider_nvidia"
    config = entry["config"]
    NVIDIAConfig.model_validate(config)
    graphs = of_kind(objects, "DynamoGraphDeployment")
    inside = {f"{name}-frontend": 8000 for name in graphs}
    for name, service in of_kind(objects, "NIMService").items():
        inside[name] = service["spec"]["expose"]["service"]["port"]
    addresses = [urlsplit(endpoint["url"]) for endpoint in config["endpoints"]]
    local = {address.hostname: address.port for address in addresses if address.scheme == "http"}
    assert local == inside
    checked = [args for (args,) in everywhere([*pods(objects)], "args") if "://" in args]
    assert {urlsplit(url).hostname for url in checked} == set(inside)
    # Keys go to the outside only, and over TLS; the provider's own would go to its `url`.
    assert all("api_key" not in e for e in config["endpoints"] if e["url"].startswith("http://"))
    assert not {"url", "base_url", "api_key"} & set(config)


def test_every_registered_model_has_an_endpoint(objects: Objects) -> None:
    run = run_config(objects)
    (entry,) = run["providers"]["inference"]
    served = [model for endpoint in entry["config"]["endpoints"] for model in endpoint["models"]]
    registered = run["registered_resources"]["models"]
    assert sorted(model["provider_model_id"] for model in registered) == sorted(served)
    assert {model["provider_id"] for model in registered} == {entry["provider_id"]}


def test_pods_have_no_rights(objects: Objects) -> None:
    for pod in pods(objects):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
            assert not container["image"].endswith(":latest")


def test_a_replica_that_goes_has_time_for_its_streams(objects: Objects) -> None:
    deployment = of_kind(objects, "Deployment")["llama-stack"]
    spec = deployment["spec"]["template"]["spec"]
    _, pause = the_server(objects)["lifecycle"]["preStop"]["exec"]["command"]
    grace = spec["terminationGracePeriodSeconds"]
    assert grace - int(pause) >= 300
    assert f"`preStop` waits {pause} seconds" in PAGE
    assert f"`terminationGracePeriodSeconds` is {grace}" in PAGE
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_there_is_one_run_yaml() -> None:
    found = [*(ROOT / "deploy").rglob("run*.yaml")]
    assert {path.resolve() for path in found} == {KUBERNETES / "base" / "run.yaml"}
    assert [path for path in found if not path.is_symlink()] == [KUBERNETES / "base" / "run.yaml"]


def test_the_policy_lets_the_server_out_to_what_its_variables_name(objects: Objects) -> None:
    policy = of_kind(objects, "NetworkPolicy")["llama-stack"]
    rules = policy["spec"]["egress"]
    blocks = {block["cidr"] for rule in rules for block in everywhere(rule, "ipBlock")}
    # NodeLocal DNSCache, and the catalogue over IPv4 and IPv6.
    assert {"169.254.20.10/32", "0.0.0.0/0", "::/0"} <= blocks
    named = {entry["name"] for entry in the_server(objects)["env"]}
    ports = {port["port"] for rule in rules for port in rule["ports"]}
    assert (5432 in ports) == ("POSTGRES_HOST" in named)
    collectors = [
        rule
        for rule in rules
        for selector in everywhere(rule["to"], "podSelector")
        if selector.get("matchLabels") == {"app.kubernetes.io/name": "otel-collector"}
    ]
    assert bool(collectors) == ("OTEL_EXPORTER_OTLP_ENDPOINT" in named)


def test_the_prometheus_rule_holds_the_rules(objects: Objects) -> None:
    assert deploy_files.PROMETHEUS_RULE.read_text() == deploy_files.prometheus_rule()
    for rule in of_kind(objects, "PrometheusRule").values():
        assert rule["spec"] == yaml.safe_load(deploy_files.RULES.read_text())


def test_the_page_names_every_overlay_and_the_operator_s_release() -> None:
    named = set(re.findall(r"`(overlays/\w+)`", PAGE))
    assert named == set(TARGETS) - {"base"}
    schema = (ROOT / "tests" / "repo" / "schemas" / "nim-operator.yaml").read_text()
    (release,) = set(re.findall(r"nim-operator/([\d.]+\d)", schema))
    assert f"release {release}" in PAGE


def test_the_page_names_every_alert() -> None:
    groups = yaml.safe_load(deploy_files.RULES.read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    part = PAGE[PAGE.index("## Monitoring") :]
    assert set(re.findall(r"^\| `([A-Z]\w+)` \|", part, re.MULTILINE)) == alerts


def test_the_page_names_the_variables_of_run_yaml() -> None:
    text = (KUBERNETES / "base" / "run.yaml").read_text()
    optional = {name for name, default in VARIABLE.findall(text) if default}
    assert {name for name in optional if f"`{name}`" not in PAGE} == set()


def test_the_image_of_the_manifests_is_what_the_containerfile_builds(objects: Objects) -> None:
    images = {
        container["image"] for pod in pods(objects) for container in pod["spec"]["containers"]
    }
    (image,) = (image for image in images if "llama-stack-nvidia" in image)
    slug = image.rpartition(":")[2]
    assert (ROOT / "constraints" / f"{slug}.txt").exists()
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", CONTAINERFILE, re.MULTILINE))
    assert arguments["STACK"] in venvs.pinned()
    tested = {run.stack: set() for run in matrix.runs()}
    for run in matrix.runs():
        tested[run.stack].add(str(run.python))
    stack = slug.removeprefix("llama-stack-")
    assert arguments["PYTHON"] in tested[stack]


def test_the_containerfile_has_nothing_to_complain_of(docs_tools: Path) -> None:
    command = [str(docs_tools / "hadolint"), str(ROOT / "Containerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_containerfile_copies_is_there_and_not_ignored() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    copied = []
    for words in re.findall(r"^COPY (?!--from)(.*)$", CONTAINERFILE, re.MULTILINE):
        copied += [word for word in words.split()[:-1] if not word.startswith("--")]
    assert {"pyproject.toml", "llama_stack_provider_nvidia", "deploy/serve"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists(), name
        assert any(fnmatch(name, pattern) for pattern in kept), name


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        (["llama"], "llama stack run /etc/run.yaml --port 1"),
        (["llama", "ogx"], "ogx run /etc/run.yaml --port 1"),
    ],
)
def test_the_container_starts_the_server_that_is_installed(
    tmp_path: Path, installed: list[str], said: str
) -> None:
    for name in installed:
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\necho {name} "$@"; echo $PPID\n')
        script.chmod(0o755)
    serve = ROOT / "deploy" / "serve"
    assert serve.stat().st_mode & stat.S_IXUSR
    environ = {"PATH": f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin"}
    done = subprocess.run(
        [str(serve), "/etc/run.yaml", "--port", "1"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    line, parent = done.stdout.splitlines()
    assert line == said
    # No shell stands between: the order to stop reaches the server.
    assert int(parent) == os.getpid()
