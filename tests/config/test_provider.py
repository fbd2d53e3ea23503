import json

import pytest
from pydantic import SecretStr, ValidationError

from llama_stack_provider_nvidia.config.endpoint import MAX_KEY_LENGTH, usable_key
from llama_stack_provider_nvidia.config.provider import (
    HOSTED_URL,
    NVIDIAConfig,
    NVIDIAProviderDataValidator,
)

KEY = "nvapi-secret-0123456789"


def key_of(config):
    return config.api_key.get_secret_value() if config.api_key else None


def refusal(**fields):
    with pytest.raises(ValidationError) as caught:
        NVIDIAConfig(**fields)
    return str(caught.value)


def test_no_configuration_at_all_means_the_hosted_catalogue_without_a_key():
    config = NVIDIAConfig()
    assert config.url == HOSTED_URL
    assert config.api_url == "https://integrate.api.nvidia.com/v1"
    assert config.api_key is None
    assert (config.timeout, config.append_api_version, config.dialect) == (600, True, "auto")
    assert (config.allowed_models, config.refresh_models, config.rerank_model_to_url) == (
        None,
        False,
        {},
    )


@pytest.mark.parametrize(
    ("key", "value", "attribute"),
    [
        ("url", "http://nim:8000", "url"),
        ("base_url", "http://nim:8000", "url"),
        ("timeout", 5.0, "timeout"),
        ("timeout", "2.5", "timeout"),
        ("append_api_version", False, "append_api_version"),
        ("append_api_version", "false", "append_api_version"),
        ("rerank_model_to_url", {"m": "http://r/v1/ranking"}, "rerank_model_to_url"),
        ("allowed_models", ["a", "b"], "allowed_models"),
        ("refresh_models", True, "refresh_models"),
        ("connect_timeout", 1.5, "connect_timeout"),
        ("max_retries", 0, "max_retries"),
        ("dialect", "nim1", "dialect"),
        ("batch_concurrency", 3, "batch_concurrency"),
    ],
)
def test_key_of_the_builtins_and_of_ours_is_accepted(key, value, attribute):
    made = getattr(NVIDIAConfig(**{key: value}), attribute)
    assert str(made).lower() == str(value).lower()


@pytest.mark.parametrize("name", ["api_key", "auth_credential"])
@pytest.mark.parametrize("wrap", [str, SecretStr])
def test_key_goes_by_either_name(name, wrap):
    assert key_of(NVIDIAConfig(**{name: wrap(KEY)})) == KEY


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://nim:8000", "http://nim:8000/v1"),
        ("http://nim:8000/", "http://nim:8000/v1"),
        ("http://nim:8000/v1", "http://nim:8000/v1"),
        ("http://nim:8000/v1/", "http://nim:8000/v1"),
        ("http://gateway/nim", "http://gateway/nim/v1"),
        ("  http://nim  ", "http://nim/v1"),
        ("HTTP://nim", "HTTP://nim/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_address_is_taken_with_or_without_its_version(url, endpoint):
    assert NVIDIAConfig(url=url).api_url == endpoint
    assert NVIDIAConfig(base_url=url).api_url == endpoint


@pytest.mark.parametrize("url", ["http://gateway/api", "http://gateway/api/"])
def test_version_is_left_out_on_request(url):
    assert NVIDIAConfig(url=url, append_api_version=False).api_url == "http://gateway/api"


@pytest.mark.parametrize(
    "url",
    [
        "nim:8000",
        "localhost",
        "ftp://nim",
        "http://",
        "http:///v1",
        "http://a b",
        "http://a\tb",
        "http://nim:99999",
        "http://nim:0",
        "http://nim:port",
        "http://[::1",
        "http://nim?key=x",
        "http://nim#x",
        "http://user:password@nim",
        5,
    ],
)
@pytest.mark.parametrize("name", ["url", "base_url"])
def test_address_that_cannot_be_one_is_refused_by_name_and_not_repeated(name, url):
    text = refusal(**{name: url})
    assert f"\n{name}\n" in text
    assert "password" not in text.replace("user name or password", "")


@pytest.mark.parametrize("empty", ["", None])
@pytest.mark.parametrize(
    "name", ["url", "base_url", "api_key", "auth_credential", "timeout", "append_api_version"]
)
def test_empty_value_counts_as_unset(name, empty):
    assert NVIDIAConfig(**{name: empty}) == NVIDIAConfig()


def test_environment_fills_what_is_unset(monkeypatch):
    monkeypatch.setenv("NVIDIA_BASE_URL", "http://nim:8000/")
    monkeypatch.setenv("NVIDIA_API_KEY", f" {KEY}\n")
    monkeypatch.setenv("NVIDIA_TIMEOUT", "7")
    monkeypatch.setenv("NVIDIA_APPEND_API_VERSION", "False")
    config = NVIDIAConfig(api_key="", url="")
    assert config.api_url == "http://nim:8000"
    assert key_of(config) == KEY
    assert config.timeout == 7


def test_configuration_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("NVIDIA_BASE_URL", "http://environment")
    monkeypatch.setenv("NVIDIA_API_KEY", "nvapi-environment")
    monkeypatch.setenv("NVIDIA_TIMEOUT", "7")
    for name in ("url", "base_url"):
        config = NVIDIAConfig(**{name: "http://config", "timeout": 8, "api_key": KEY})
        assert (config.api_url, config.timeout, key_of(config)) == ("http://config/v1", 8, KEY)
    assert key_of(NVIDIAConfig(auth_credential=KEY)) == KEY


@pytest.mark.parametrize(
    "name", ["NVIDIA_BASE_URL", "NVIDIA_API_KEY", "NVIDIA_TIMEOUT", "NVIDIA_APPEND_API_VERSION"]
)
def test_empty_environment_variable_counts_as_unset(monkeypatch, name):
    monkeypatch.setenv(name, "")
    assert NVIDIAConfig() == NVIDIAConfig(url=HOSTED_URL, timeout=600)


@pytest.mark.parametrize(
    ("text", "value"), [("0", False), ("no", False), ("FALSE", False), ("1", True), ("true", True)]
)
def test_flag_in_the_environment_is_read_as_people_write_it(monkeypatch, text, value):
    monkeypatch.setenv("NVIDIA_APPEND_API_VERSION", text)
    assert NVIDIAConfig().append_api_version is value


@pytest.mark.parametrize(
    ("variable", "text", "field"),
    [
        ("NVIDIA_TIMEOUT", "soon", "timeout"),
        ("NVIDIA_TIMEOUT", "-1", "timeout"),
        ("NVIDIA_TIMEOUT", "inf", "timeout"),
        ("NVIDIA_APPEND_API_VERSION", "perhaps", "append_api_version"),
        ("NVIDIA_BASE_URL", "nim:8000", "url"),
        ("NVIDIA_API_KEY", "nvapi secret", "api_key"),
    ],
)
def test_bad_environment_variable_is_refused_by_the_name_of_its_field(
    monkeypatch, variable, text, field
):
    monkeypatch.setenv(variable, text)
    assert f"\n{field}\n" in refusal()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 0),
        ("timeout", "nan"),
        ("connect_timeout", 0),
        ("connect_timeout", float("inf")),
        ("max_retries", -1),
        ("batch_concurrency", 0),
        ("dialect", "nim3"),
        ("allowed_models", "a"),
        ("rerank_model_to_url", ["a"]),
        ("refresh_models", "perhaps"),
    ],
)
def test_impossible_value_is_refused_by_name(name, value):
    assert f"\n{name}" in refusal(**{name: value})


@pytest.mark.parametrize("name", ["networks", "api_keys", "tls"])
def test_unknown_key_is_refused_by_name(name):
    text = refusal(**{name: {"tls": {"verify": False}}})
    assert f"\n{name}\n" in text
    assert "not permitted" in text


def test_two_addresses_are_refused_unless_they_are_one():
    assert "`url` and `base_url`" in refusal(url="http://a", base_url="http://b")
    assert NVIDIAConfig(url="http://a", base_url="http://a/").api_url == "http://a/v1"


def test_two_keys_are_refused_unless_they_are_one():
    text = refusal(api_key=KEY, auth_credential="nvapi-other")
    assert "`api_key` and `auth_credential`" in text
    assert KEY not in text
    assert key_of(NVIDIAConfig(api_key=KEY, auth_credential=KEY)) == KEY


BAD_KEYS = ["nvapi secret", "nvapi-\nsecret", "nvapi-sécret", "secret" * MAX_KEY_LENGTH]


@pytest.mark.parametrize("key", BAD_KEYS, ids=["space", "line", "not ASCII", "long"])
@pytest.mark.parametrize("name", ["api_key", "auth_credential"])
def test_key_that_cannot_be_sent_is_refused_and_never_shown(name, key):
    text = refusal(**{name: key})
    assert f"\n{name}\n" in text
    assert "secret" not in text
    assert "sécret" not in text


def test_key_is_never_shown():
    config = NVIDIAConfig(api_key=KEY)
    shown = (repr(config), str(config), config.model_dump_json(), str(config.model_dump()))
    assert not [text for text in shown if KEY in text]
    assert KEY not in refusal(api_key=KEY, timeout=0)
    assert KEY not in refusal(api_key=KEY, unknown=KEY)


def test_every_key_says_what_it_is_for():
    assert not [name for name, field in NVIDIAConfig.model_fields.items() if not field.description]


def test_sample_leaves_address_and_key_to_the_environment():
    sample = NVIDIAConfig.sample_run_config(__distro_dir__="~/.llama")
    assert sample == {
        "url": "${env.NVIDIA_BASE_URL:=https://integrate.api.nvidia.com/v1}",
        "api_key": "${env.NVIDIA_API_KEY:=}",
    }


def test_configuration_must_be_a_mapping():
    with pytest.raises(ValidationError):
        NVIDIAConfig.model_validate("http://nim")


class TestProviderData:
    def test_request_may_bring_a_key(self):
        data = NVIDIAProviderDataValidator(nvidia_api_key=KEY)
        assert data.nvidia_api_key.get_secret_value() == KEY
        assert KEY not in repr(data)

    @pytest.mark.parametrize("sent", [{}, {"nvidia_api_key": None}, {"other_api_key": "x"}])
    def test_request_may_bring_none(self, sent):
        assert NVIDIAProviderDataValidator(**sent).nvidia_api_key is None

    @pytest.mark.parametrize("name", ["url", "base_url", "nvidia_base_url"])
    def test_request_cannot_choose_the_host(self, name):
        data = NVIDIAProviderDataValidator(**{name: "http://evil"})
        assert "evil" not in data.model_dump_json()

    @pytest.mark.parametrize("value", [5, True, [], {}, [KEY], {"key": KEY}], ids=json.dumps)
    def test_key_of_another_type_stays_an_unusable_key(self, value):
        """A refused validation would make the stack fall back to the server's own key."""
        data = NVIDIAProviderDataValidator(nvidia_api_key=value)
        with pytest.raises(ValueError, match="cannot be sent"):
            usable_key(data.nvidia_api_key.get_secret_value())


@pytest.mark.parametrize(
    ("given", "used"),
    [("", None), ("  \n", None), (KEY, KEY), (f"  {KEY}\n", KEY), ("x" * 8192,) * 2],
)
def test_key_is_used_without_the_space_around_it(given, used):
    assert usable_key(given) == used


@pytest.mark.parametrize("key", BAD_KEYS, ids=["space", "line", "not ASCII", "long"])
def test_unusable_key_is_refused_without_showing_it(key):
    with pytest.raises(ValueError, match=r"characters") as caught:
        usable_key(key)
    assert "cret" not in str(caught.value)


class TestSeveralNIMs:
    def test_the_address_counts_only_where_it_is_written(self, monkeypatch):
        monkeypatch.setenv("NVIDIA_BASE_URL", "http://from-the-environment")
        others = [{"url": "http://a"}, {"base_url": "http://b/v1", "append_api_version": False}]
        only = NVIDIAConfig(endpoints=others)
        assert [one.api_url for one in only.endpoint_configs()] == ["http://a/v1", "http://b/v1"]
        both = NVIDIAConfig(url="http://c", endpoints=others)
        assert both.endpoint_configs()[0].api_url == "http://c/v1"
        assert [one.api_url for one in NVIDIAConfig().endpoint_configs()] == [
            "http://from-the-environment/v1"
        ]

    def test_each_may_have_a_network_of_its_own(self):
        config = NVIDIAConfig(
            network={"headers": {"a": "1"}},
            endpoints=[{"url": "http://a"}, {"url": "http://b", "network": {"timeout": 3}}],
        )
        first, second = (one.network for one in config.endpoint_configs())
        assert first == config.network
        assert (second.headers, second.timeout) == ({}, 3)

    @pytest.mark.parametrize(
        ("endpoints", "named", "said"),
        [
            ([{"name": "a"}], "endpoints.0.url", "must start with http"),
            ([{"url": "a"}], "endpoints.0.url", "must start with http"),
            ([{"url": "http://a", "key": 1}], "endpoints.0.key", "not permitted"),
            ([{"url": "http://a"}, {"url": "http://a/v1"}], "", "is there twice"),
            ([{"url": "http://a", "api_key": "two words"}], "endpoints.0.api_key", "header"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, endpoints, named, said):
        text = refusal(endpoints=endpoints)
        assert f"\n{named}" in text
        assert said in text
        assert "two words" not in text
