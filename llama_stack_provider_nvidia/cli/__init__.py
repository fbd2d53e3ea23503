"""The command line ``llama-stack-nvidia``: a module for each command."""

from .app import app

__all__ = ["app"]
