"""The command ``llama-stack-nvidia providers-dir``."""

import typer

EXAMPLES = ("llama-stack-nvidia providers-dir",)


def providers_dir() -> None:
    """Print the directory to set as external_providers_dir in run.yaml."""
    from ..run_yaml.providers_dir import providers_dir_path

    typer.echo(providers_dir_path())
