"""Which keys a release's run.yaml has, told by what it has and never by its version."""

import importlib.util
import warnings
from dataclasses import dataclass

from .variables import Syntax, installed_syntax


@dataclass(frozen=True)
class Layout:
    """The keys to write. The default suits every release.

    Attributes:
        server: What it is for, for people.
        command: What starts the server.
        stores: ``metadata_store`` and ``inference_store``, of 0.2.x.
        storage: ``storage`` and ``registered_resources``, of 0.3 and later.
        folder: ``external_providers_dir``, for those before 0.2.16.
        module: ``module``, for 0.2.16 and later.
        rerank: Models may be of the type ``rerank``.
        insecure: The server wants to be told that it may serve without TLS.
        syntax: Of variables; None if that differs among them.
    """

    server: str = "every release from 0.2.12 on"
    command: str = "llama stack run"
    stores: bool = True
    storage: bool = True
    folder: bool = True
    module: bool = True
    rerank: bool = False
    insecure: bool = True
    syntax: Syntax | None = None


def installed_layout() -> Layout:
    """Tell what the installed release takes; the layout for all where none is installed."""
    server = next((name for name in ("ogx", "llama_stack") if importlib.util.find_spec(name)), None)
    if server is None:
        return Layout()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some releases warn while they are imported
        from .. import stack  # takes seconds

    keys = stack.run_config_keys()
    return Layout(
        server="the installed OGX" if server == "ogx" else "the installed Llama Stack",
        command="ogx run" if server == "ogx" else "llama stack run",
        stores="metadata_store" in keys.top,
        storage="storage" in keys.top,
        folder="module" not in keys.provider,
        module="module" in keys.provider,
        rerank="rerank" in stack.KINDS,
        insecure="insecure" in keys.server,
        syntax=installed_syntax(),
    )
