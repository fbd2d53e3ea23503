"""Write the templates of the Helm chart from the kustomize manifests.

    python -m scripts.helm_chart

deploy/kubernetes is the source: an object or a list entry that a component adds stands under that
component's switch. run.yaml, rules, dashboard and the collector's configuration are links in the
chart to the files of deploy/.
"""

from __future__ import annotations

import copy
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scripts import interpreters, site, venvs

ROOT = venvs.ROOT
KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "llama-stack-nvidia"
SWITCHES = ("postgres", "monitoring", "gateway", "ingress")
"""Switches of values.yaml, each with the overlay of that name."""
_NIMS = (("NetworkPolicy", "nims"), ("CronJob", "nim-check"))
_HASHED = re.compile(r"^(llama-stack-run|otel-collector)-[a-z0-9]{10}$")
_HEAD = "{{- /* Made from deploy/kubernetes by `python -m scripts.helm_chart`. */}}\n"
# Files of the chart that become part of an object: kind and name, path inside it, template.
_FILES = {
    ("ConfigMap", "llama-stack-run"): (
        ("data", "run.yaml"),
        '(default (.Files.Get "run.yaml") .Values.runYaml)',
    ),
    ("ConfigMap", "llama-stack-dashboard"): (
        ("data", "dashboard.json"),
        '(.Files.Get "dashboard.json")',
    ),
    ("ConfigMap", "otel-collector"): (("data", "config.yaml"), '(.Files.Get "collector.yaml")'),
    ("PrometheusRule", "llama-stack"): (("spec",), '(.Files.Get "rules.yaml")'),
}
_IMAGE = (
    "{{ .Values.image.repository }}"
    "{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag }}{{ end }}"
)
Object = dict[str, Any]


def render(target: str, kubectl: Path) -> list[Object]:
    """Return the objects of a kustomization, with hashes cut off the names of ConfigMaps."""
    command = [str(kubectl), "kustomize", str(KUBERNETES / target)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    objects: list[Object] = unhashed([*yaml.safe_load_all(text)])
    return objects


def unhashed(value: Any) -> Any:
    """Return a value without the hashes that kustomize puts on the names of ConfigMaps."""
    if isinstance(value, dict):
        return {key: unhashed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unhashed(item) for item in value]
    return _HASHED.sub(r"\1", value) if isinstance(value, str) else value


def key(found: Object) -> tuple[str, str]:
    """Return what identifies an object in its namespace."""
    return found["kind"], found["metadata"]["name"]


def templates(kubectl: Path) -> dict[str, str]:
    """Return each template's text by its file name."""
    base = {key(found): found for found in render("base", kubectl)}
    objects = copy.deepcopy(base)
    switch_of = {name: "nims" for name in base if name in _NIMS or name[0].startswith("NIM")}
    for switch in SWITCHES:
        for found in render(f"overlays/{switch}", kubectl):
            name = key(found)
            if name not in base:
                objects[name] = found
                switch_of[name] = switch
            else:
                _add(objects[name], base[name], found, switch)
    del objects["Namespace", "llama-stack"]
    made: dict[str, str] = {}
    for name, found in objects.items():
        _parametrize(found)
        text = _text(name, found)
        if (own := switch_of.get(name)) is not None:
            text = f"{{{{- if .Values.{own}.enabled }}}}\n{text}{{{{- end }}}}\n"
        file = f"{name[1]}-{name[0].lower()}.yaml"
        made[file] = _HEAD + text
    return made


def _add(into: Any, base: Any, variant: Any, switch: str) -> None:
    """Put into an object what a variant has beside the base, under its switch.

    Raises:
        ValueError: The variant changes a value, which the chart has no form for.
    """
    if base == variant:
        return
    if isinstance(base, dict) and isinstance(variant, dict) and base.keys() == variant.keys():
        for name in base:
            _add(into[name], base[name], variant[name], switch)
        return
    if isinstance(base, list) and isinstance(variant, list):
        if len(base) == len(variant):
            for items in zip(into, base, variant, strict=False):
                _add(*items, switch)
            return
        added = [item for item in variant if item not in base]
        if len(added) == len(variant) - len(base):
            into += [f"@@{{{{- if .Values.{switch}.enabled }}}}@@", *added, "@@{{- end }}@@"]
            return
    message = f"{switch} changes {base!r} to {variant!r}"
    raise ValueError(message)


def _parametrize(found: Object) -> None:
    """Put the values of the chart in the place of the base's."""
    found["metadata"]["namespace"] = "@@{{ .Release.Namespace }}@@"
    kind, name = key(found)
    for container in _containers(found):
        if "llama-stack-nvidia" in container["image"]:
            container["image"] = f"@@{_IMAGE}@@"
    if (kind, name) == ("Deployment", "llama-stack"):
        template = found["spec"]["template"]
        run = "default (.Files.Get `run.yaml`) .Values.runYaml"
        template["metadata"]["annotations"] = {
            "checksum/run": f"@@{{{{ {run} | sha256sum | quote }}}}@@"
        }
        (server,) = template["spec"]["containers"]
        server["resources"] = "@@block .Values.resources@@"
        server["env"].append("@@list .Values.env@@")
    elif kind == "HorizontalPodAutoscaler":
        found["spec"]["minReplicas"] = "@@{{ .Values.replicas.min }}@@"
        found["spec"]["maxReplicas"] = "@@{{ .Values.replicas.max }}@@"
    elif kind == "HTTPRoute":
        found["spec"]["hostnames"] = ["@@{{ .Values.gateway.host }}@@"]
        (parent,) = found["spec"]["parentRefs"]
        parent["name"] = "@@{{ .Values.gateway.name }}@@"
        parent["namespace"] = "@@{{ .Values.gateway.namespace }}@@"
    elif kind == "Ingress":
        spec = found["spec"]
        spec["ingressClassName"] = "@@{{ .Values.ingress.className }}@@"
        spec["rules"][0]["host"] = "@@{{ .Values.ingress.host }}@@"
        spec["tls"][0] = {
            "hosts": ["@@{{ .Values.ingress.host }}@@"],
            "secretName": "@@{{ .Values.ingress.tlsSecret }}@@",
        }


def _containers(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "containers":
                yield from item
            else:
                yield from _containers(item)


def _text(name: tuple[str, str], found: Object) -> str:
    if name in _FILES:
        path, template = _FILES[name]
        *parents, last = path
        inside = found
        for parent in parents:
            inside = inside[parent]
        inside[last] = f"@@file {template}@@"
    text = yaml.safe_dump(found, sort_keys=False, width=10**6)
    text = re.sub(
        r"(?m)^( *)(\S+): '?@@file (.*?)@@'?$",
        lambda m: (
            f"{m[1]}{m[2]}:{' |' if m[1] else ''}\n"
            f'{{{{ {m[3]} | trimSuffix "\\n" | indent {len(m[1]) + 2} }}}}'
        ),
        text,
    )
    text = re.sub(
        r"(?m)^( *)(\S+): '?@@block (.*?)@@'?$",
        lambda m: f"{m[1]}{m[2]}:\n{{{{ toYaml {m[3]} | indent {len(m[1]) + 2} }}}}",
        text,
    )
    text = re.sub(
        r"(?m)^( *)- '?@@list (.*?)@@'?$",
        lambda m: (
            f"{{{{- with {m[2]} }}}}\n{{{{ toYaml . | indent {len(m[1])} }}}}\n{{{{- end }}}}"
        ),
        text,
    )
    text = re.sub(r"(?m)^ *- '?@@(\{\{- .*?)@@'?$", r"\1", text)
    # Strings, even those that look like numbers to YAML, but for the replicas.
    text = re.sub(r"(Replicas: )'@@(.*?)@@'", r"\1\2", text)
    return re.sub(r"'@@(.*?)@@'", r"\1", text)


def main() -> None:
    """Write the templates, and delete those that are no longer made."""
    environ = {name: value for name, value in os.environ.items() if name != "STACK"}
    _, python = interpreters.choose(environ)
    made = templates(site.make(python, environ).with_name("kubectl"))
    folder = CHART / "templates"
    for path in folder.glob("*.yaml"):
        path.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
