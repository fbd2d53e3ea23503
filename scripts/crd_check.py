"""Check the manifests of deploy/kubernetes with the published definitions of custom resources.

    python -m scripts.crd_check FILE...        files with CustomResourceDefinitions

tests/repo/schemas holds what the manifests use of them; this checks against the whole. Last run in
2026-11: NIM Operator (main, f63f74d), Prometheus operator 0.93.0, Gateway API (main, 4564255ac);
without Dynamo's, of which the schema in tests follows the documentation alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from scripts import helm_chart, interpreters, site

_BUILT_IN = ("apps", "autoscaling", "batch", "networking.k8s.io", "policy")
Schemas = dict[tuple[str, str], dict[str, Any]]


def schemas(texts: Sequence[str]) -> Schemas:
    """Return the schemas of definitions by API version and kind, closed for unknown fields."""
    found: Schemas = {}
    for text in texts:
        for definition in yaml.safe_load_all(text):
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                _close(schema)
                # Kubernetes' own, and not part of the definition.
                schema["properties"]["metadata"] = {}
                found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def _close(schema: Any) -> None:
    """Refuse unknown fields, which Kubernetes drops, and read its own additions to JSON schema."""
    if isinstance(schema, list):
        for item in schema:
            _close(item)
    if not isinstance(schema, dict):
        return
    keeps = schema.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("type") == "object" and "properties" in schema and not keeps:
        schema.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    for item in schema.values():
        _close(item)


def problems(found: dict[str, Any], known: Schemas) -> list[str]:
    """Return what a definition finds wrong with an object; nothing for Kubernetes' own kinds."""
    version, kind = found["apiVersion"], found["kind"]
    name = f"{kind} {found['metadata']['name']}"
    if "/" not in version or version.split("/")[0] in _BUILT_IN:
        return []
    if (version, kind) not in known:
        return [f"{name}: no definition of {version}"]
    validator = jsonschema.Draft202012Validator(known[version, kind])
    return [
        f"{name}: {'/'.join(map(str, error.path))}: {error.message}"
        for error in validator.iter_errors(found)
    ]


def main(argv: Sequence[str]) -> int:
    """Check every target."""
    known = schemas([Path(name).read_text(encoding="utf-8") for name in argv])
    environ = {name: value for name, value in os.environ.items() if name != "STACK"}
    _, python = interpreters.choose(environ)
    kubectl = site.make(python, environ).with_name("kubectl")
    targets = [
        "base",
        *sorted(f"overlays/{p.name}" for p in helm_chart.KUBERNETES.glob("overlays/*")),
    ]
    found = [
        f"{target}: {problem}"
        for target in targets
        for one in helm_chart.render(target, kubectl)
        for problem in problems(one, known)
    ]
    print("\n".join(found) or "Every custom resource is as its definition says.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
