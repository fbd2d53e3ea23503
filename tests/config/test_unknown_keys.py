"""A mistyped key of the configuration is named with the key that was meant."""

from typing import Any

import pytest
from pydantic import ValidationError

from llama_stack_provider_nvidia.config import NVIDIAConfig


@pytest.mark.parametrize(
    ("given", "key", "meant"),
    [
        ({"tiemout": 3}, "tiemout", "timeout"),
        ({"apikey": "k"}, "apikey", "api_key"),
        ({"network": {"tls": {"verfy": False}}}, "network.tls.verfy", "verify"),
        ({"network": {"proxy": {"htpp": "http://x"}}}, "network.proxy.htpp", "http"),
        ({"endpoints": [{"url": "http://a", "modles": []}]}, "endpoints.0.modles", "models"),
    ],
)
def test_the_nearest_key_is_named(given: dict[str, Any], key: str, meant: str) -> None:
    with pytest.raises(ValidationError) as failure:
        NVIDIAConfig(**given)
    assert f"\n{key}\n" in str(failure.value)
    assert f"did you mean `{meant}`?" in str(failure.value)


def test_what_resembles_no_key_has_no_suggestion() -> None:
    with pytest.raises(ValidationError) as failure:
        NVIDIAConfig(zzz=1)
    assert "did you mean" not in str(failure.value)


def test_other_errors_stay_and_nothing_shows_a_value() -> None:
    with pytest.raises(ValidationError) as failure:
        NVIDIAConfig(tiemout="secret-1", max_retries=-1, api_key="secret 2", url="secret-3")
    found = {one["loc"]: one for one in failure.value.errors()}
    assert found[("max_retries",)]["type"] == "greater_than_equal"
    assert found[("url",)]["msg"] == "Value error, must start with http:// or https://"
    assert len(found) == 4
    assert "secret" not in str(failure.value)
