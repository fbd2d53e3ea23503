"""Plan of faults: which fault each request meets."""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from ..connection import Port
from ..record import RecordedRequest, fingerprint
from .operations import body_of
from .registry import FAULTS, FaultKind
from .statuses import NEVER_READY


class Fault(BaseModel):
    """A fault, and the requests that it is for. The fault's own parameters stand beside these.

    Attributes:
        fault: Its name, see :data:`FAULTS`.
        path: Path of the requests; ``*`` stands for any text. Without one it is for every POST,
            so that probes (GET) do not use it up.
        match: Text that the raw body of the request must hold.
        model: Model that the request must ask for; ``*`` stands for any text.
        key: Key that the request must carry, or its hash as it is recorded.
        times: For how many requests; null for all, until the faults are dropped.
        probability: Chance that it draw to a request that it is for.
        seed: Where the random numbers start: the same seed gives the same sequence.
    """

    model_config = ConfigDict(extra="allow")

    fault: str
    path: str | None = None
    match: str = ""
    model: str | None = None
    key: str | None = None
    times: Annotated[int, Field(ge=1)] | None = 1
    probability: Annotated[float, Field(ge=0, le=1)] = 1
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return parse_fault(value) if isinstance(value, str) else value

    @field_validator("fault")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}: choose one of {sorted(FAULTS)}")
        if FAULTS[name].kind == "set-up":
            raise ValueError(f"{name} is not for requests: {FAULTS[name].summary}")
        return name

    @field_validator("key")
    @classmethod
    def _hashed(cls, key: str | None) -> str | None:
        return key if key is None or key.startswith("sha256:") else fingerprint(key)

    @model_validator(mode="after")
    def _right_parameters(self) -> Fault:
        self.kind.parameters.model_validate(self.model_extra or {})
        return self

    @property
    def kind(self) -> FaultKind:
        """Its entry in the table."""
        return FAULTS[self.fault]

    @property
    def parameters(self) -> dict[str, Any]:
        """Its own parameters, with defaults."""
        checked = self.kind.parameters.model_validate(self.model_extra or {})
        return {name: getattr(checked, name) for name in self.kind.parameters.model_fields}

    def fits(self, record: RecordedRequest, raw: bytes) -> bool:
        """Return whether the fault is for a request."""
        if self.path is None:
            if record.method != "POST":
                return False
        elif not fnmatchcase(record.path, self.path):
            return False
        if self.match.encode() not in raw or self.key not in (None, record.key):
            return False
        if self.model is None and self.kind.only is None:
            return True
        body = body_of(raw)
        if self.kind.only is not None and bool(body.get("stream")) != (self.kind.only == "stream"):
            return False
        return self.model is None or fnmatchcase(str(body.get("model", "")), self.model)


def parse_fault(text: str) -> dict[str, Any]:
    """Return the JSON form of a fault that is written ``name:parameter=value,parameter=value``.

    Values are JSON, or a text where they are not.

    Raises:
        ValueError: A parameter has no value.
    """
    name, colon, rest = text.partition(":")
    fault: dict[str, Any] = {"fault": name}
    for item in re.split(r",(?=\w+=)", rest) if colon else ():
        parameter, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"{text!r}: expected name:parameter=value, found {item!r}")
        try:
            fault[parameter] = json.loads(value)
        except ValueError:
            fault[parameter] = value
    return fault


def parse_persistent_fault(text: str) -> Fault:
    """Return the fault of a text as one for all requests, unless the text says otherwise.

    Raises:
        ValueError: It is malformed; the message says how.
    """
    try:
        return Fault.model_validate({"path": "*", "times": None, **parse_fault(text)})
    except ValidationError as error:
        told = [
            ".".join(map(str, item["loc"])) + ": " * bool(item["loc"]) + item["msg"]
            for item in error.errors()
        ]
        raise ValueError(f"fault {text!r}: {'; '.join(told)}") from None


_FAULTS = TypeAdapter(list[Fault])
_NEVER_READY = Fault(fault="never-ready")


class _PendingFault:
    """A fault that waits for its requests."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = fault.times
        self.applied = 0
        self._random = random.Random(fault.seed)  # noqa: S311 - no secret

    def draw(self) -> bool:
        """Draw whether it happens to a request that it is for, and count that."""
        if self.fault.probability < 1 and self._random.random() >= self.fault.probability:
            return False
        self.applied += 1
        if self.left is not None:
            self.left -= 1
        return True


class FaultPlan:
    """The faults that wait for requests; safe to use from any thread.

    Attributes:
        port: The port of the running server, None while none runs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_PendingFault] = []
        self.port: Port | None = None

    def add(self, faults: Iterable[Fault | Mapping[str, Any] | str]) -> int:
        """Append faults; those of the port happen now.

        Args:
            faults: Faults, their JSON form, or texts as ``parse_fault`` reads.

        Returns:
            The number of faults that now wait.

        Raises:
            pydantic.ValidationError: One of them is malformed; then none is kept.
            ValueError: No server is running whose port could be closed.
        """
        checked = _FAULTS.validate_python(list(faults))
        at_once = [fault for fault in checked if fault.kind.play is None]
        if at_once and self.port is None:
            raise ValueError(f"{at_once[0].fault}: the emulator is not running")
        with self._lock:
            self._waiting += [_PendingFault(fault) for fault in checked if fault not in at_once]
            count = len(self._waiting)
        for fault in at_once:
            assert self.port is not None
            self.port.refuse(fault.parameters["seconds"])
        return count

    def clear(self) -> None:
        """Drop all faults, and open the port if it is closed."""
        with self._lock:
            self._waiting.clear()
        if self.port is not None:
            self.port.open()

    def waiting(self) -> list[dict[str, Any]]:
        """Return the faults that wait, as JSON data with the numbers of uses."""
        with self._lock:
            return [
                {**item.fault.model_dump(), "left": item.left, "applied": item.applied}
                for item in self._waiting
            ]

    def take(self, record: RecordedRequest, raw: bytes) -> Fault | None:
        """Return the first fault that happens to a request, None when there is none."""
        if record.path.rpartition("/")[2].startswith(NEVER_READY):
            return _NEVER_READY
        with self._lock:
            for item in self._waiting:
                if item.fault.fits(record, raw) and item.draw():
                    if item.left == 0:
                        self._waiting.remove(item)
                    return item.fault
        return None
