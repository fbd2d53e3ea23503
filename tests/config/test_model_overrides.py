import pytest
from pydantic import ValidationError

from llama_stack_provider_nvidia.config.provider import NVIDIAConfig

URL = "http://nim:8000"


def test_overrides_are_read_from_the_configuration() -> None:
    config = NVIDIAConfig.model_validate(
        {"url": URL, "model_overrides": {"a/b": {"tools": True}, "a/*": {"vision": False}}}
    )
    assert config.model_overrides["a/b"].tools is True
    assert config.model_overrides["a/*"].vision is False
    assert NVIDIAConfig(url=URL).model_overrides == {}


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"toolz": True}, "toolz"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"reasoning": {"switch": "template"}}, "needs `argument`"),
        ({"reasoning": {"switch": "system", "enable": "/on"}}, "needs `enable` and `disable`"),
        ({"reasoning": {"switch": "sometimes"}}, "switch"),
        ({"reasoning": {"tags": ["<a>"]}}, "tags"),
        ({"reasoning": {"tags": ["<a>", ""]}}, "must not be empty"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_names_it(block: object, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        NVIDIAConfig.model_validate({"url": URL, "model_overrides": {"a/b": block}})
