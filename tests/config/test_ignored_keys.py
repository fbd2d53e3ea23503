"""The guardrails keys of upstream's run-with-safety.yaml are ignored with a warning."""

import logging

import pytest
from pydantic import ValidationError

from llama_stack_provider_nvidia.config import NVIDIAConfig

GUARDRAILS = {"guardrails_service_url": "http://guardrails:7331", "config_id": "self-check"}


def test_they_are_ignored_with_a_warning_that_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        config = NVIDIAConfig(**GUARDRAILS, timeout=5)  # type: ignore[arg-type]
    assert config.timeout == 5
    assert "guardrails_service_url" not in config.model_dump()
    (record,) = caplog.records
    text = record.getMessage()
    assert text.startswith("`guardrails_service_url` and `config_id`: ignored")
    assert "no guardrails are applied here" in text
    assert "same provider_id" in text
    assert "guardrails:7331" not in text


def test_the_warning_names_only_what_is_there(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        NVIDIAConfig(config_id="self-check")  # type: ignore[call-arg]
    assert caplog.records[0].getMessage().startswith("`config_id`: ignored")


def test_no_warning_without_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        NVIDIAConfig(timeout=5)
    assert not caplog.records


@pytest.mark.parametrize("key", ["guardrails_url", "configid"])
def test_what_resembles_them_is_still_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="not permitted here"):
        NVIDIAConfig(**{key: "x"})  # type: ignore[arg-type]


def test_an_endpoint_does_not_take_them() -> None:
    with pytest.raises(ValidationError, match=r"endpoints\.0\.config_id"):
        NVIDIAConfig(endpoints=[{"url": "http://a", "config_id": "x"}])  # type: ignore[list-item]
