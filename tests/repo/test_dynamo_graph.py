"""The graph of the Dynamo overlay has the fields and values that Dynamo's operator takes.

Facts: `nvidia.com/v1beta1` in the operator's source (Apache-2.0), read in November 2026. The pods
are those of Kubernetes.
"""

import re
from typing import Any

import yaml

from scripts.stack_server import ROOT

GRAPH = ROOT / "deploy" / "kubernetes" / "overlays" / "dynamo" / "graph.yaml"
BACKENDS = {"sglang", "vllm", "trtllm"}
TYPES = {"frontend", "worker", "prefill", "decode", "planner", "epp"}
SPEC = {"backendFramework", "components", "env", "annotations", "labels", "priorityClassName"}
COMPONENT = {"name", "type", "replicas", "podTemplate"}
NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?")
# The operator adds its defaults to the container of this name.
CONTAINER = "main"


def test_the_operator_takes_the_graph() -> None:
    (graph,) = yaml.safe_load_all(GRAPH.read_text())
    assert (graph["apiVersion"], graph["kind"]) == ("nvidia.com/v1beta1", "DynamoGraphDeployment")
    spec: dict[str, Any] = graph["spec"]
    assert set(spec) <= SPEC
    assert spec["backendFramework"] in BACKENDS
    components: list[dict[str, Any]] = spec["components"]
    assert 0 < len(components) <= 25
    names = [component["name"] for component in components]
    assert all(NAME.fullmatch(name) and len(name) <= 63 for name in names)
    assert len({name.lower() for name in names}) == len(names)
    assert {component["type"] for component in components} >= {"frontend", "worker"}
    for component in components:
        assert set(component) <= COMPONENT
        assert component["type"] in TYPES
        assert component["replicas"] >= 1
        containers = component["podTemplate"]["spec"]["containers"]
        assert CONTAINER in {container["name"] for container in containers}
