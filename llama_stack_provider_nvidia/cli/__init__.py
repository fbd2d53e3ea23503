"""The command line ``llama-stack-nvidia``, with a module for each command."""

from .app import app

__all__ = ["app"]
