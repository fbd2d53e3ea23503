"""Deprecated alias of the package ``nim_emulator``; to be removed in version 0.2."""

from __future__ import annotations

import warnings

from nim_emulator import *  # noqa: F403
from nim_emulator import __all__ as __all__

warnings.warn(
    "llama_stack_provider_nvidia.emulator is now nim_emulator: change the import. "
    "This name will be removed in version 0.2.",
    DeprecationWarning,
    stacklevel=2,
)
