"""Variables in run.yaml, read as the installed stack reads them."""

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_stack_provider_nvidia.run_yaml.env_substitution import (
    Syntax,
    UnsetVariableError,
    installed_syntax,
    substitute,
)

ENVIRON = {"SET": "here", "EMPTY": "", "NUMBER": "8000", "HOME_DIR": "~/store"}
HOME = os.path.expanduser("~")


@pytest.mark.parametrize(
    ("syntax", "text", "read"),
    [
        (Syntax.COLON, "${env.SET:other}", "here"),
        (Syntax.COLON, "${env.UNSET:other}", "other"),
        (Syntax.COLON, "${env.EMPTY:other}", "other"),
        (Syntax.COLON, "${env.UNSET:}", ""),
        (Syntax.COLON, "${env.UNSET:=other}", "=other"),  # as that release does
        (Syntax.COLON, "${env.SET+yes}", "yes"),
        (Syntax.COLON, "${env.UNSET+yes}", ""),
        (Syntax.COLON, "${env.NUMBER}", "8000"),
        (Syntax.COLON, "http://${env.SET}:${env.NUMBER}", "http://here:8000"),
        (Syntax.SHELL, "${env.SET:=other}", "here"),
        (Syntax.SHELL, "${env.UNSET:=http://nim:8000}", "http://nim:8000"),
        (Syntax.SHELL, "${env.UNSET:=}", None),
        (Syntax.SHELL, "${env.SET:+yes}", "yes"),
        (Syntax.SHELL, "${env.UNSET:+yes}", None),
        (Syntax.SHELL, "${env.SET:+}", None),
        (Syntax.SHELL, "${env.NUMBER}", 8000),
        (Syntax.SHELL, "${env.UNSET:=1.5}", 1.5),
        (Syntax.SHELL, "${env.UNSET:=True}", True),
        (Syntax.SHELL, "8000", "8000"),
        (Syntax.SHELL, "${env.SET:other}", "${env.SET:other}"),  # the syntax of 0.2.12
        (Syntax.SHELL, "${env.HOME_DIR}/x", f"{HOME}/store/x"),
    ],
)
def test_values(syntax: Syntax, text: str, read: Any) -> None:
    assert substitute({"a": [text]}, syntax, ENVIRON) == {"a": [read]}


@pytest.mark.parametrize("syntax", Syntax)
def test_what_is_not_set_is_named(syntax: Syntax) -> None:
    with pytest.raises(
        UnsetVariableError, match=r"^a\[0\]\.b: the variable UNSET is not set"
    ) as failure:
        substitute({"a": [{"b": "${env.UNSET}"}]}, syntax, ENVIRON)
    assert failure.value.name == "UNSET"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=9))
def test_what_names_no_variable_stays_as_it_is(value: Any) -> None:
    if "${env." not in str(value):
        assert substitute(value, Syntax.SHELL, {}) == value


@pytest.mark.parametrize("syntax", Syntax)
def test_a_default_is_written_as_it_is_read(syntax: Syntax) -> None:
    assert substitute(syntax.default("UNSET", "x"), syntax, {}) == "x"
    assert not substitute(syntax.default("UNSET"), syntax, {})


def test_the_installed_release_s_syntax_is_known() -> None:
    assert isinstance(installed_syntax(), Syntax)
