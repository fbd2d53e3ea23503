"""The Helm chart renders what kustomize does, by Helm's own library."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import deploy_env, helm_chart
from scripts.stack_server import ROOT
from tests.repo.docs_tools import docs_tools as docs_tools

NAMESPACE = "llama-stack"
Objects = dict[tuple[str, str], dict[str, Any]]

VALUES: dict[str, dict[str, Any]] = {
    "base": {},
    **{name: {name: {"enabled": True}} for name in helm_chart.SWITCHES},
    "own": {
        "image": {"repository": "r.example.com/stack", "digest": "sha256:" + "a" * 64},
        "runYaml": "version: '2'\n",
        "env": [{"name": "LOG", "value": "x"}],
        "replicas": {"min": 3, "max": 5},
        "resources": {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "nims": {"enabled": False},
        "gateway": {"enabled": True, "host": "a.example.com", "name": "g", "namespace": "edge"},
        "ingress": {
            "enabled": True,
            "host": "b.example.com",
            "className": "other",
            "tlsSecret": "t",
        },
    },
    "all": {name: {"enabled": True} for name in helm_chart.SWITCHES},
}


@pytest.fixture(scope="module")
def helm() -> dict[str, Any]:
    """The chart as Helm's library renders it."""
    command = [deploy_env.make(), ROOT / "scripts" / "helm_render.py", helm_chart.CHART]
    done = subprocess.run(
        [*map(str, command), "stack", NAMESPACE],
        input=json.dumps([*VALUES.values()]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rendered(helm: dict[str, Any], name: str) -> Objects:
    texts = helm["rendered"][[*VALUES].index(name)]
    objects = [found for text in texts for found in yaml.safe_load_all(text) if found]
    by_key = {helm_chart.key(found): found for found in objects}
    assert len(by_key) == len(objects)
    return by_key


def comparable(value: Any) -> Any:
    """A value without the order of variables, and without the chart's own annotation."""
    if isinstance(value, dict):
        made = {name: comparable(item) for name, item in value.items()}
        if isinstance(made.get("env"), list):
            made["env"] = sorted(made["env"], key=lambda entry: str(entry["name"]))
        if set(made.get("annotations") or ()) == {"checksum/run"}:
            del made["annotations"]
        return made
    return [comparable(item) for item in value] if isinstance(value, list) else value


def test_the_templates_are_up_to_date(docs_tools: Path) -> None:
    made = helm_chart.templates(docs_tools / "kubectl")
    folder = helm_chart.CHART / "templates"
    assert {path.name: path.read_text() for path in folder.glob("*")} == made


def test_helm_has_nothing_to_complain_of(helm: dict[str, Any]) -> None:
    assert helm["lint"]["errors"] == []
    said = [message["error"] for message in helm["lint"]["messages"]]
    assert said == ["icon is recommended"]


@pytest.mark.parametrize("name", ["base", *helm_chart.SWITCHES])
def test_the_chart_renders_what_kustomize_does(
    helm: dict[str, Any], docs_tools: Path, name: str
) -> None:
    target = "base" if name == "base" else f"overlays/{name}"
    wanted = {
        helm_chart.key(found): found
        for found in helm_chart.render(target, docs_tools / "kubectl")
        # `helm install --create-namespace` makes it.
        if found["kind"] != "Namespace"
    }
    found = rendered(helm, name)
    assert set(found) == set(wanted)
    for one, expected in wanted.items():
        assert comparable(found[one]) == comparable(expected), one


def test_values_are_put_in(helm: dict[str, Any]) -> None:
    own = rendered(helm, "own")
    assert own["ConfigMap", "llama-stack-run"]["data"] == {"run.yaml": "version: '2'\n"}
    template = own["Deployment", "llama-stack"]["spec"]["template"]
    (server,) = template["spec"]["containers"]
    assert server["image"] == "r.example.com/stack@sha256:" + "a" * 64
    assert {"name": "LOG", "value": "x"} in server["env"]
    assert server["resources"] == VALUES["own"]["resources"]
    scaler = own["HorizontalPodAutoscaler", "llama-stack"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 5)
    assert not [kind for kind, name in own if kind.startswith("NIM") or name == "nim-check"]
    route = own["HTTPRoute", "llama-stack"]["spec"]
    assert route["hostnames"] == ["a.example.com"]
    assert route["parentRefs"] == [{"name": "g", "namespace": "edge"}]
    ingress = own["Ingress", "llama-stack"]["spec"]
    assert ingress["rules"][0]["host"] == "b.example.com"
    assert ingress["tls"] == [{"hosts": ["b.example.com"], "secretName": "t"}]
    assert ingress["ingressClassName"] == "other"
    # A changed run.yaml rolls the servers over.
    base = rendered(helm, "base")["Deployment", "llama-stack"]["spec"]["template"]
    assert base["metadata"]["annotations"] != template["metadata"]["annotations"]


def test_kubernetes_takes_what_the_chart_renders(
    helm: dict[str, Any], docs_tools: Path, tmp_path: Path
) -> None:
    objects = rendered(helm, "all")
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump_all(objects.values()))
    command = [str(docs_tools / "kubernetes-validate"), "--strict", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count(" passed for resource ") >= 15
