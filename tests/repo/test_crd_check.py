"""The check of manifests against definitions of custom resources finds what is wrong."""

from typing import Any

import pytest
import yaml

from scripts import crd_check

DEFINITION: dict[str, Any] = {
    "spec": {
        "group": "example.com",
        "names": {"kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "spec": {
                                "type": "object",
                                "required": ["size"],
                                "properties": {
                                    "size": {"x-kubernetes-int-or-string": True, "type": "string"},
                                    "note": {"type": "string", "nullable": True},
                                    "free": {
                                        "type": "object",
                                        "properties": {},
                                        "x-kubernetes-preserve-unknown-fields": True,
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    }
}


def thing(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "one", "labels": {"a": "b"}},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (thing(size=1, note=None, free={"any": 1}), ""),
        (thing(size="1Gi"), ""),
        (thing(), "'size' is a required property"),
        (thing(size=1, sice=2), "'sice' was unexpected"),
        (thing(size=1, note=3), "Thing one: spec/note: 3 is not of type"),
        ({**thing(size=1), "apiVersion": "example.com/v2"}, "no definition of example.com/v2"),
        ({**thing(), "apiVersion": "apps/v1"}, ""),
        ({**thing(), "apiVersion": "v1"}, ""),
    ],
)
def test_what_is_wrong_is_found(found: dict[str, Any], said: str) -> None:
    known = crd_check.schemas([yaml.safe_dump(DEFINITION)])
    problems = crd_check.problems(found, known)
    assert len(problems) == bool(said)
    assert said in "".join(problems)
