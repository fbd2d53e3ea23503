"""Metrics under the names of the engines, with the numbers of the requests that were made."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import httpx
import pytest

from helpers import MODEL, Servers, post
from nim_emulator import DIALECTS, EmulatorServer, metrics

WITH_METRICS = [name for name, dialect in DIALECTS.items() if dialect.metrics is not None]
SAMPLE = re.compile(r"^([\w:]+)\{([^}]*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def path(dialect: str) -> str:
    (found,) = [path for path, name in DIALECTS[dialect].routes.items() if name == "metrics"]
    return found


def samples(nim: EmulatorServer, http: httpx.Client, model: str = MODEL) -> dict[str, float]:
    """The values of a model by name; of histograms, the bounds follow the name."""
    names = DIALECTS[nim.settings.dialect].metrics
    assert names is not None
    answer = http.get(nim.url + path(nim.settings.dialect))
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for name, text, value in SAMPLE.findall(answer.text):
        labels = dict(LABEL.findall(text))
        if labels.pop(names.label) == model:
            bound = labels.pop("le", "")
            assert labels == names.constant
            found[f"{name} {bound}".strip()] = float(value)
    return found


def until(ready: Callable[[], bool]) -> None:
    for _ in range(200):
        if ready():
            return
        time.sleep(0.05)
    raise AssertionError("waited for 10 seconds")


def chat(**more: object) -> dict[str, object]:
    return {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], **more}


@pytest.mark.parametrize("dialect", WITH_METRICS)
def test_requests_are_counted(http: httpx.Client, dialect: str) -> None:
    names = DIALECTS[dialect].metrics
    assert names is not None
    with EmulatorServer(dialect) as nim:
        before = samples(nim, http)
        assert before[names.generated] == before[f"{names.duration}_count"] == 0
        usage = post(nim, "/v1/chat/completions", chat(max_tokens=7)).json()["usage"]
        assert usage["completion_tokens"] == 7
        post(nim, "/v1/chat/completions", chat(max_tokens=5, stream=True))
        post(nim, "/v1/completions", {"model": MODEL, "prompt": "Hello", "max_tokens": 4})
        # A refused request is no work of the engine.
        assert post(nim, "/v1/chat/completions", chat(temperature="warm")).status_code >= 400
        until(lambda: samples(nim, http)[f"{names.duration}_count"] == 3)
        after = samples(nim, http)
    assert after[names.generated] == 7 + 5 + 4
    if names.prompt is not None:
        assert after[names.prompt] >= 2 * usage["prompt_tokens"]
    assert after[names.running] == after[names.waiting] == 0
    for name in (names.ttft, names.duration):
        counts = [after[f"{name}_bucket {bound}"] for bound in (*metrics.BUCKETS, "+Inf")]
        assert counts == sorted(counts)
        assert counts[-1] == after[f"{name}_count"] == 3
    assert 0 < after[f"{names.ttft}_sum"] <= after[f"{names.duration}_sum"]


def test_a_running_stream_is_seen(http: httpx.Client) -> None:
    names = metrics.VLLM
    with (
        EmulatorServer("nim2", tokens_per_second=20) as nim,
        http.stream(
            "POST", f"{nim.url}/v1/chat/completions", json=chat(max_tokens=400, stream=True)
        ) as answer,
    ):
        arriving = answer.iter_bytes()
        next(arriving)
        until(lambda: samples(nim, http)[names.generated] >= 2)
        during = samples(nim, http)
        assert during[names.running] == 1
        assert names.cache is not None
        assert 0 < during[names.cache] < 1
        assert during[f"{names.duration}_count"] == 0
        answer.close()
        # The client has left: its tokens stay counted.
        until(lambda: samples(nim, http)[names.running] == 0)
        after = samples(nim, http)
    assert after[names.generated] >= during[names.generated]
    assert after[f"{names.duration}_count"] == 1
    assert after[names.cache] == 0


def test_a_response_that_a_fault_cut_is_over(http: httpx.Client) -> None:
    names = metrics.VLLM
    with EmulatorServer("nim2") as nim:
        nim.faults(["cut:after=2,how=reset"])
        with pytest.raises(httpx.TransportError):
            http.post(f"{nim.url}/v1/chat/completions", json=chat(max_tokens=50, stream=True))
        until(lambda: samples(nim, http)[names.running] == 0)


def test_only_models_that_chat_have_metrics(http: httpx.Client) -> None:
    with EmulatorServer("nim2", [MODEL, 'a"b', "nvidia/nv-embedqa-e5-v5"]) as nim:
        text = http.get(f"{nim.url}/v1/metrics").text
    assert set(re.findall(r'model_name="((?:[^"\\]|\\.)*)"', text)) == {MODEL, r"a\"b"}


def test_they_need_no_key(servers: Servers, http: httpx.Client) -> None:
    with EmulatorServer("nim1", api_key="secret") as nim:
        assert http.get(f"{nim.url}/v1/metrics").status_code == 200
