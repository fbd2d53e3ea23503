"""The errors that a caller gets, from every engine and on every route."""

from typing import Any

import pytest

from llama_stack_provider_nvidia.nim.errors.troubleshooting import BY_CODE
from scripts.engine.features import DIRECT
from scripts.engine.kinds import Kind

from .callers import GHOST, Caller, CallError
from .requests import HELLO, LONG
from .routes import server_of

feature = pytest.mark.feature
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def refused(caller: Caller, messages: Any, *, stream: bool = False, **fields: Any) -> CallError:
    with pytest.raises(CallError) as raised:
        caller.chat(messages, stream=stream, **fields)
    return raised.value


def check(error: CallError, route: str, code: str, *, stream: bool = False) -> None:
    """The status and, where the release passes it on, the code of an error; directly, any."""
    if route == DIRECT:
        return
    server, cause = server_of(route), BY_CODE[code]
    if not stream or server.refuses_streams:
        assert error.status == server.status(cause), error
    if not server.hides(cause, late=False):
        assert f"code {code}" in str(error)


@feature("unknown_model")
def test_an_unknown_model(caller: Caller, kind: Kind, route: str) -> None:
    name = GHOST if route == DIRECT else f"nvidia/{GHOST}"
    error = refused(caller, HELLO, model=name, max_tokens=4)
    ignored = kind.dialect == "nim2-sglang"
    check(error, route, "model_not_served" if ignored else "model_not_found")
    assert GHOST in str(error) or route == DIRECT


@feature("too_long")
@streamed
def test_too_long(caller: Caller, route: str, stream: bool) -> None:
    error = refused(caller, LONG, stream=stream, max_tokens=4)
    check(error, route, "context_length_exceeded", stream=stream)
    assert "2048" in str(error) or "2047" in str(error)


@feature("bad_parameter")
@streamed
def test_a_bad_parameter(caller: Caller, stream: bool) -> None:
    # The native API checks the others itself.
    fields = {"top_k": -5} if caller.native else {"temperature": -1}
    error = refused(caller, HELLO, stream=stream, max_tokens=4, **fields)
    assert error.status in (400, 422, None)
    assert next(iter(fields)) in str(error).lower()


@feature("bad_constraint")
def test_a_bad_constraint(caller: Caller) -> None:
    error = refused(caller, HELLO, max_tokens=4, **bad_constraint(caller))
    assert error.status == 400


@feature("bad_constraint_stream")
def test_a_bad_constraint_of_a_stream(caller: Caller) -> None:
    error = refused(caller, HELLO, stream=True, max_tokens=4, **bad_constraint(caller))
    assert error.status in (400, None)


def bad_constraint(caller: Caller) -> dict[str, Any]:
    return {"grammar": 'root ::= "unclosed'} if caller.native else {"regex": "(["}


@feature("engine_error")
@streamed
def test_the_engine_fails(caller: Caller, stream: bool) -> None:
    refused(caller, [{"role": "user", "content": "raise"}], stream=stream)
    refused(caller, [{"role": "user", "content": "refuse"}], stream=stream)
