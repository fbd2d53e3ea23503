"""Faults of the whole server, independent of requests."""

from __future__ import annotations

from typing import get_args

from ..tls import TLS
from .registry import describe

describe(
    "set-up",
    "tls",
    "The server speaks TLS with a certificate from an authority of its own: "
    "`EmulatorServer(tls=...)`.",
    certificate=(TLS, get_args(TLS)[0]),
)
describe(
    "set-up",
    "dns",
    "A name that cannot be resolved needs no server: use one that ends in `.invalid`.",
)
