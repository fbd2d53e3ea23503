"""The directory with the provider's spec for Llama Stack releases before 0.2.16."""

from pathlib import Path


def providers_dir_path() -> Path:
    """Return the directory to set as ``external_providers_dir``."""
    return Path(__file__).resolve().parent.parent / "providers.d"
