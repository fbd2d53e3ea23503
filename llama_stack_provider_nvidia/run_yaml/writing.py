"""A whole run.yaml for a NIM: the smallest that starts a server."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..nim.discovery.models import Kind
from .entries import MODULE, PROVIDER_TYPE
from .layout import Layout
from .models import ServedModel, registration


@dataclass(frozen=True)
class Plan:
    """What a run.yaml is to say.

    Attributes:
        url: Address of the NIM.
        layout: The keys to write.
        models: The models to register.
        store: Folder of the server's own databases.
        provider_id: Name of the provider.
        port: Port of the server, which listens on this machine alone.
        hosted: The NIM wants a key.
    """

    url: str
    layout: Layout
    models: Sequence[ServedModel]
    store: Path
    provider_id: str = "nvidia"
    port: int = 8321
    hosted: bool = False


def providers_folder() -> Path:
    """The folder to set as ``external_providers_dir``."""
    return Path(str(resources.files(MODULE))).resolve() / "providers.d"


def run_yaml(plan: Plan) -> str:
    """Write the file."""
    layout = plan.layout
    parts = [_head(plan), dump({"version": "2", "image_name": "nvidia", "apis": ["inference"]})]
    if layout.folder:
        parts.append(
            "# Where releases before 0.2.16 find the provider.\n"
            + dump({"external_providers_dir": str(providers_folder())})
        )
    parts.append(dump({"providers": {"inference": [_provider(plan)]}}))
    parts += _models(plan)
    if layout.stores:
        parts.append(
            "# Where 0.2.x keeps the names of models, and the OpenAI-style chats.\n"
            + dump(
                {
                    "metadata_store": _database(plan, "registry.db"),
                    "inference_store": _database(plan, "inference.db"),
                }
            )
        )
    if layout.storage:
        parts.append("# The server's own databases.\n" + dump({"storage": _storage(plan)}))
    server: dict[str, Any] = {"host": "127.0.0.1", "port": plan.port}
    if layout.insecure:
        server["insecure"] = True  # OGX 1.5 and later serve without TLS only when told to
    parts.append("# Only this machine may call.\n" + dump({"server": server}))
    return "\n".join(parts)


def _head(plan: Plan) -> str:
    key = "which the NIM wants" if plan.hosted else "if the NIM wants one"
    return (
        f"# A Llama Stack server in front of {plan.url}, for {plan.layout.server}.\n"
        f"# The key, {key}, is read from NVIDIA_API_KEY: it is not in this file.\n"
    )


def _provider(plan: Plan) -> dict[str, Any]:
    entry: dict[str, Any] = {"provider_id": plan.provider_id, "provider_type": PROVIDER_TYPE}
    if plan.layout.module:
        entry["module"] = MODULE
    config: dict[str, Any] = {"url": plan.url}
    if plan.layout.syntax is not None:
        config["api_key"] = plan.layout.syntax.default("NVIDIA_API_KEY")
    return {**entry, "config": config}


def _models(plan: Plan) -> list[str]:
    layout = plan.layout
    known = [one for one in plan.models if layout.rerank or one.entry.kind is not Kind.RERANK]
    entries = [registration(one, plan.provider_id) for one in known]
    both = layout.stores and layout.storage
    parts = []
    if layout.stores:
        text = dump({"models": entries})
        parts.append(text.replace("models:", "models: &models", 1) if both else text)
    if both:
        parts.append("registered_resources:\n  models: *models\n")
    elif layout.storage:
        parts.append(dump({"registered_resources": {"models": entries}}))
    left_out = [one.entry.id for one in plan.models if one not in known]
    if left_out:
        parts.append(f"# This release has no rerank models: {', '.join(left_out)}\n")
    return parts


def _database(plan: Plan, name: str) -> dict[str, Any]:
    return {"type": "sqlite", "db_path": str(plan.store / name)}


def _storage(plan: Plan) -> dict[str, Any]:
    return {
        "backends": {
            "kv_default": {"type": "kv_sqlite", "db_path": str(plan.store / "kv.db")},
            "sql_default": {"type": "sql_sqlite", "db_path": str(plan.store / "sql.db")},
        },
        "stores": {
            "metadata": {"namespace": "registry", "backend": "kv_default"},
            "inference": {"table_name": "inference_store", "backend": "sql_default"},
            "conversations": {"table_name": "conversations", "backend": "sql_default"},
            "prompts": {"namespace": "prompts", "backend": "kv_default"},
        },
    }


def dump(value: Any) -> str:
    """Write YAML in the order of the value, in blocks."""
    import yaml

    written: str = yaml.safe_dump(value, sort_keys=False, width=100, allow_unicode=True)
    return written
