"""Writer of a minimal run.yaml for a NIM."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..nim.model_facts.model_ids import Kind
from .model_entries import ServedModel, model_entry
from .provider_entries import MODULE, PROVIDER_TYPE
from .providers_dir import providers_dir_path
from .release_format import DEFAULT_PORT, RunYamlFormat
from .yaml_text import dump_yaml


@dataclass(frozen=True)
class RunYamlOptions:
    """Contents of a run.yaml.

    Attributes:
        url: Address of the NIM.
        format: The keys to write.
        models: The models to register.
        store: Folder of the server's databases.
        provider_id: Name of the provider.
        port: Port of the server, which listens on this machine alone.
        hosted: The NIM is NVIDIA's hosted catalogue, which needs a key.
    """

    url: str
    format: RunYamlFormat
    models: Sequence[ServedModel]
    store: Path
    provider_id: str = "nvidia"
    port: int = DEFAULT_PORT
    hosted: bool = False


def render_run_yaml(options: RunYamlOptions) -> str:
    """Return the text of a run.yaml."""
    keys = options.format
    parts = [
        _head(options),
        dump_yaml({"version": "2", "image_name": "nvidia", "apis": ["inference"]}),
    ]
    if keys.folder:
        parts.append(
            "# Releases before 0.2.16 find the provider here.\n"
            + dump_yaml({"external_providers_dir": str(providers_dir_path())})
        )
    parts.append(dump_yaml({"providers": {"inference": [_provider(options)]}}))
    parts += _models(options)
    if keys.stores:
        parts.append(
            "# Databases of 0.2.x: registered models and stored chats.\n"
            + dump_yaml(
                {
                    "metadata_store": _database(options, "registry.db"),
                    "inference_store": _database(options, "inference.db"),
                }
            )
        )
    if keys.storage:
        parts.append("# The server's databases.\n" + dump_yaml({"storage": _storage(options)}))
    server: dict[str, Any] = {"host": "127.0.0.1", "port": options.port}
    if keys.insecure:
        server["insecure"] = True
    parts.append(
        "# Only this machine can connect. The port of `"
        + f"{keys.command} --port` wins over this one.\n"
        + dump_yaml({"server": server})
    )
    return "\n".join(parts)


def _head(options: RunYamlOptions) -> str:
    key = "" if options.hosted else ", if the NIM needs one,"
    return (
        f"# A Llama Stack server in front of {options.url}, for {options.format.server}.\n"
        f"# The API key{key} is read from NVIDIA_API_KEY and is not in this file.\n"
    )


def _provider(options: RunYamlOptions) -> dict[str, Any]:
    entry: dict[str, Any] = {"provider_id": options.provider_id, "provider_type": PROVIDER_TYPE}
    if options.format.module:
        entry["module"] = MODULE
    config: dict[str, Any] = {"url": options.url}
    if options.format.syntax is not None:
        config["api_key"] = options.format.syntax.default("NVIDIA_API_KEY")
    return {**entry, "config": config}


def _models(options: RunYamlOptions) -> list[str]:
    keys = options.format
    accepted = [one for one in options.models if keys.rerank or one.entry.kind is not Kind.RERANK]
    entries = [model_entry(one, options.provider_id) for one in accepted]
    both = keys.stores and keys.storage
    parts = []
    if keys.stores:
        text = dump_yaml({"models": entries})
        parts.append(text.replace("models:", "models: &models", 1) if both else text)
    if both:
        parts.append("registered_resources:\n  models: *models\n")
    elif keys.storage:
        parts.append(dump_yaml({"registered_resources": {"models": entries}}))
    left_out = [one.entry.id for one in options.models if one not in accepted]
    if left_out:
        parts.append(f"# This release has no rerank models: {', '.join(left_out)}\n")
    return parts


def _database(options: RunYamlOptions, name: str) -> dict[str, Any]:
    return {"type": "sqlite", "db_path": str(options.store / name)}


def _storage(options: RunYamlOptions) -> dict[str, Any]:
    return {
        "backends": {
            "kv_default": {"type": "kv_sqlite", "db_path": str(options.store / "kv.db")},
            "sql_default": {"type": "sql_sqlite", "db_path": str(options.store / "sql.db")},
        },
        "stores": {
            "metadata": {"namespace": "registry", "backend": "kv_default"},
            "inference": {"table_name": "inference_store", "backend": "sql_default"},
            "conversations": {"table_name": "conversations", "backend": "sql_default"},
            "prompts": {"namespace": "prompts", "backend": "kv_default"},
        },
    }
