"""A local NIM that speaks the HTTP API of each NIM generation, without a model or a GPU.

For demos, for tests, and for users who want to test a stack of their own. Needs the extra
``emulator``. On the command line it is ``llama-stack-nvidia emulate``.
"""

from __future__ import annotations

from ._version import __version__ as __version__
from .app import create_app
from .capture_file import Capture, CapturedCall, CaptureError, read_capture
from .dialect import TOOL_STREAMS, Dialect, ToolStream
from .dialects import DIALECTS
from .faults import FAULTS, Fault, FaultKind
from .record import Connections, RecordedRequest, Recorder, Reply, fingerprint
from .server import EmulatorServer
from .settings import Settings
from .tls import TLS, Certificates

__all__ = [
    "DIALECTS",
    "FAULTS",
    "TLS",
    "TOOL_STREAMS",
    "Capture",
    "CaptureError",
    "CapturedCall",
    "Certificates",
    "Connections",
    "Dialect",
    "EmulatorServer",
    "Fault",
    "FaultKind",
    "RecordedRequest",
    "Recorder",
    "Reply",
    "Settings",
    "ToolStream",
    "create_app",
    "fingerprint",
    "read_capture",
]
