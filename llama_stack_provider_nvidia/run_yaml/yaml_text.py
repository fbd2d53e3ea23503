"""YAML text in the style of run.yaml."""

from typing import Any


def dump_yaml(value: Any) -> str:
    """Return a value as YAML: block style, keys in the order given."""
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, width=100, allow_unicode=True)
    return text
