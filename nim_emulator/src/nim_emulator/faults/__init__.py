"""Faults between a client and a NIM, ordered per request."""

from __future__ import annotations

# The order of these imports is the order of the table.
from . import connections, content, framing, server_faults, statuses, tool_calls  # noqa: F401
from .fault_player import FaultyResponse
from .plan import Fault, FaultPlan, parse_persistent_fault
from .registry import FAULTS, FaultKind, fault_table
from .wrong_types import WRONG_TYPES

__all__ = [
    "FAULTS",
    "WRONG_TYPES",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "FaultyResponse",
    "fault_table",
    "parse_persistent_fault",
]
