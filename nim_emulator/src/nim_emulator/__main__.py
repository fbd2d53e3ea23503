"""``python -m nim_emulator``."""

from .cli import main

main()
