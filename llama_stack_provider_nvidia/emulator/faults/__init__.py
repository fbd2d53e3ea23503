"""Faults: what can go wrong between a client and a NIM, to be ordered per request."""

from __future__ import annotations

# The order of these imports is the order of the table.
from . import connections, content, framing, setup, statuses, toolcalls  # noqa: F401
from .catalogue import FAULTS, FaultKind, fault_table
from .plan import Fault, FaultPlan, standing
from .play import FaultyResponse
from .wrong_types import WRONG_TYPES

__all__ = [
    "FAULTS",
    "WRONG_TYPES",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "FaultyResponse",
    "fault_table",
    "standing",
]
