"""An answer through the stack is the NIM's own, but for the differences that are written down."""

import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

import openai
import pytest

from nim_emulator import EmulatorServer
from tests.conformance.answers import ask, summary, unlike, without_nulls
from tests.conformance.cases import CASES, EMBEDDINGS, OF_NIM1, REFUSED, Case
from tests.conformance.differences import holding

from . import release
from .conftest import EMBEDDER, LLM

pytestmark = pytest.mark.server

STACK = importlib.metadata.version("ogx" if release.OGX else "llama-stack")
STACK = f"ogx-{STACK}" if release.OGX else STACK


def rows(cases: list[Case]) -> list[Any]:
    """A row for each way that a case is sent."""
    return [
        pytest.param(case, streamed, id=f"{case}-{'streamed' if streamed else 'whole'}")
        for case in cases
        for streamed in case.ways
    ]


class Pair:
    """A NIM that is asked directly, and through the stack.

    Args:
        nim: The NIM.
        generation: ``nim1`` or ``nim2``.
        provider: The provider in front of it.
        url: Where the stack's OpenAI-style routes are.
    """

    def __init__(self, nim: EmulatorServer, generation: str, provider: str, url: str) -> None:
        self.generation = generation
        self._nim = nim
        self._provider = provider
        # Clients take long to make.
        self._direct = openai.OpenAI(base_url=f"{nim.url}/v1", api_key="none", max_retries=0)
        # Some servers are busy for seconds after an error, and close a connection just when the
        # next request comes.
        close = {"Connection": "close"}
        self._client = openai.OpenAI(
            base_url=url, api_key="none", max_retries=0, default_headers=close
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._direct.close()
        self._client.close()

    def model(self, case: Case) -> str:
        """The NIM's own id."""
        return EMBEDDER if case.path == EMBEDDINGS else LLM

    def directly(self, case: Case, fields: Mapping[str, Any], streamed: bool) -> Any:
        """Send it to the NIM."""
        self._nim.clear()
        return ask(self._direct, case, {**fields, "model": self.model(case)}, streamed)

    def through(self, case: Case, streamed: bool) -> Any:
        """Send it through the stack."""
        self._nim.clear()
        name = f"{self._provider}/{self.model(case)}"
        return ask(self._client, case, {**case.fields, "model": name}, streamed)

    def asked(self) -> Any:
        """The requests to the NIM since."""
        # A question what the NIM is, which has no body, may come in between.
        requests = [request for request in self._nim.requests if request.method == "POST"]
        bodies = [without_nulls(request.body) for request in requests]
        # Some releases say this themselves.
        return [{k: v for k, v in body.items() if (k, v) != ("stream", False)} for body in bodies]

    def differences(self, case: Case, streamed: bool) -> list[str]:
        """List what is different through the stack and is written down nowhere."""
        known = holding(STACK, case.path, self.generation)
        fields = dict(case.fields)
        for item in known:
            fields = item.request(fields)
        if case.form and fields == case.fields:  # nothing is lost that has another form here
            fields = dict(case.form)
        expected = summary(self.directly(case, fields, streamed))
        wire = self.asked()
        answer = self.through(case, streamed)
        if streamed:
            check_chunks(answer, fields)
        found = summary(answer)
        assert expected.pop("model") == self.model(case)
        assert found.pop("model") in (self.model(case), f"{self._provider}/{self.model(case)}")
        for item in known:
            item.answer(expected, streamed)
        different = unlike(expected, found)
        if case.path != EMBEDDINGS:  # the provider asks for those in a way of its own
            different += [f"to the NIM: {line}" for line in unlike(wire, self.asked())]
        return different


def check_chunks(chunks: list[Any], fields: Mapping[str, Any]) -> None:
    """Check what readers of a stream rely on."""
    assert len({chunk["id"] for chunk in chunks}) == 1
    counts = [place for place, chunk in enumerate(chunks) if not chunk["choices"]]
    wanted = (fields.get("stream_options") or {}).get("include_usage")
    assert counts == ([len(chunks) - 1] if wanted else [])
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    ended = [choice["index"] for choice in choices if choice.get("finish_reason")]
    assert sorted(ended) == sorted({choice["index"] for choice in choices})


@pytest.fixture(scope="module")
def pair(shared_nim: EmulatorServer, openai_url: str) -> Iterator[Pair]:
    made = Pair(shared_nim, "nim2", "nvidia", openai_url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pair1(nim1: EmulatorServer, openai_url: str) -> Iterator[Pair]:
    made = Pair(nim1, "nim1", "nim1", openai_url)
    yield made
    made.close()


@pytest.mark.parametrize(("case", "streamed"), rows(CASES))
def test_the_answer_is_the_nim_s(case: Case, streamed: bool, pair: Pair) -> None:
    if any(item.refuses(case.fields) for item in holding(STACK, case.path, "nim2")):
        with pytest.raises(openai.BadRequestError):
            pair.through(case, streamed)
        assert pair.asked() == []
    else:
        assert pair.differences(case, streamed) == []


@pytest.mark.parametrize(("case", "streamed"), rows(OF_NIM1))
def test_the_answer_of_nim_1_is_its_own(case: Case, streamed: bool, pair1: Pair) -> None:
    assert pair1.differences(case, streamed) == []


@pytest.mark.parametrize(("case", "streamed"), rows(REFUSED))
def test_a_refusal_is_the_nim_s(case: Case, streamed: bool, pair: Pair) -> None:
    with pytest.raises(openai.APIError) as directly:
        pair.directly(case, case.fields, streamed)
    with pytest.raises(openai.APIError) as through:
        pair.through(case, streamed)
    has_status = isinstance(directly.value, openai.APIStatusError)
    if isinstance(directly.value, openai.APIStatusError):
        status = directly.value.status_code
    else:  # a NIM that has said 200 by then
        status = directly.value.body["code"]  # type: ignore[index]
    assert status // 100 == 4
    said = str(through.value)
    if isinstance(through.value, openai.APIStatusError):
        assert through.value.status_code == status
        said += through.value.response.text
    else:  # the NIM, or an older server, has said 200 by then
        assert not (has_status and release.STREAMS_HAVE_A_STATUS)
        assert str(status) in said
    if pair.asked():
        assert directly.value.body["message"] in said  # type: ignore[index]
    else:
        assert case.name.split()[0] in said
