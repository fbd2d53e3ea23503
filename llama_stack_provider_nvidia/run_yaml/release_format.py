"""The run.yaml keys that the installed release accepts, found by inspection."""

import warnings
from dataclasses import dataclass

from .env_substitution import Syntax, installed_syntax
from .installed_server import installed_servers

DEFAULT_PORT = 8321
"""Port of ``llama stack run`` and ``ogx run``."""


@dataclass(frozen=True)
class RunYamlFormat:
    """The keys to write. The defaults suit every release.

    Attributes:
        server: Name of the release for messages.
        command: Command that starts the server.
        stores: Write ``metadata_store`` and ``inference_store`` (0.2.x).
        storage: Write ``storage`` and ``registered_resources`` (0.3 and later).
        folder: Write ``external_providers_dir`` (before 0.2.16).
        module: Write ``module`` (0.2.16 and later).
        rerank: Models may have the type ``rerank`` (0.4 and later).
        insecure: Write ``server.insecure``, which OGX 1.5 wants for a server without TLS.
        syntax: Syntax of variables; None if the file is for releases that differ in it.
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

    def run_command(self, path: str, port: int) -> str:
        """Return the command that starts the server with a run.yaml.

        The port is named because the command's own default wins over the file's ``server.port``.
        """
        return f"{self.command} {path}" + (f" --port {port}" if port != DEFAULT_PORT else "")


def installed_format() -> RunYamlFormat:
    """Return the installed release's format, or the one for all if none is installed."""
    server = next((name for name, _ in installed_servers()), None)
    if server is None:
        return RunYamlFormat()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some releases warn while they are imported
        from .. import stack  # takes seconds

    keys = stack.run_config_keys()
    return RunYamlFormat(
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
