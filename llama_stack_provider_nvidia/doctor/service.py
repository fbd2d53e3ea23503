"""Is it a NIM that works: life, key, readiness, generation and models."""

import httpx

from ..nim.dialect import Dialect
from ..nim.discovery.models import Kind
from ..nim.requests.profiles import profile_of
from ..nim.targets import named
from .check import Check
from .outcome import FailedError, Seen, SkippedError
from .subject import ASK_SECONDS, USUAL_MODEL, Subject, unserved

_GET_KEY = "export NVIDIA_API_KEY=nvapi-... (a key is made at https://build.nvidia.com)"
_SET_KEY = "export NVIDIA_API_KEY=..., or set api_key in run.yaml"
_REFUSED = (401, 403)
_WHAT = {
    Dialect.NIM1: "NIM 1.x",
    Dialect.NIM2_VLLM: "NIM 2.x with vLLM",
    Dialect.NIM2_SGLANG: "NIM 2.x with SGLang",
    Dialect.HOSTED: "NVIDIA's hosted catalogue",
    Dialect.DYNAMO: "NVIDIA Dynamo",
    Dialect.GENERIC: "a server with OpenAI's API",
}
_ENGINES = {Dialect.NIM2_VLLM: "vLLM", Dialect.NIM2_SGLANG: "SGLang"}


async def _live(subject: Subject) -> Seen:
    try:
        answer = await subject.ask("/health/live")
    except httpx.TimeoutException:
        raise FailedError(
            f"it takes connections and does not answer in {ASK_SECONDS:g} s",
            "The server hangs: look at its log (`docker logs`, `kubectl logs`) and restart it.",
        ) from None
    except httpx.HTTPError as error:
        said = str(error) or type(error).__name__
        if subject.endpoint.url.startswith("https:"):
            raise FailedError(
                f"the connection breaks after TLS: {said}",
                "The NIM may want a certificate of yours: set `network: {tls: {client_cert: ..., "
                "client_key: ...}}` in run.yaml.",
            ) from None
        raise FailedError(f"what answers is no HTTP: {said}") from None
    if answer.is_redirect:
        where = answer.headers.get("location", "elsewhere")
        raise FailedError(
            f"the address leads to {where}",
            "Set url to where it leads: a key is sent nowhere but to the configured address.",
        )
    if answer.status_code >= 500:
        raise FailedError(
            f"it answers HTTP {answer.status_code}",
            "The server, or the gateway before it, is out of order: look at its log.",
        )
    if answer.status_code == 200:
        return Seen("its /v1/health/live says live")
    return Seen(f"it answers (HTTP {answer.status_code}: no /v1/health/live here)")


async def _key(subject: Subject) -> Seen:
    has_key = subject.endpoint.has_key
    hosted = subject.endpoint.is_hosted or await _speaks_hosted(subject)
    if hosted and not has_key:
        raise FailedError("there is none, and the hosted catalogue wants one", _GET_KEY)
    try:
        status = await _status_with_key(subject, hosted=hosted)
    except httpx.HTTPError as error:
        raise SkippedError(f"no answer to try it on: {error or type(error).__name__}") from None
    if status not in _REFUSED and not hosted and status != 200:
        raise SkippedError(f"nothing to try it on: its /models answers HTTP {status}")
    if status not in _REFUSED:
        found = "set and not refused" if has_key else "none, none needed"
        return Seen(found, data={"set": has_key})
    if has_key:
        raise FailedError(
            f"it is refused (HTTP {status})",
            "Check that the key is whole, still valid and for this address: "
            + (_GET_KEY if hosted else _SET_KEY),
        )
    raise FailedError(
        f"there is none, and it wants one (HTTP {status})", _SET_KEY + _not_shared(subject)
    )


def _not_shared(subject: Subject) -> str:
    """Say why the provider's own key is not used, if it has one."""
    if subject.config.key is None:
        return ""
    return " under this endpoint: the provider's own key is not sent to another host"


async def _speaks_hosted(subject: Subject) -> bool:
    return (await subject.endpoint.finding()).dialect is Dialect.HOSTED


async def _status_with_key(subject: Subject, *, hosted: bool) -> int:
    """Give what a question gets that needs the key."""
    listed = await subject.ask("/models")
    if not hosted:
        return listed.status_code
    # The catalogue's list is public. A chat of no messages is refused in any case, but not
    # before the key was looked at.
    try:
        ids = [entry["id"] for entry in listed.json()["data"]]
    except (ValueError, KeyError, TypeError):
        ids = []
    model = USUAL_MODEL if USUAL_MODEL in ids or not ids else ids[0]
    answer = await subject.ask("/chat/completions", body={"model": model, "messages": []})
    return answer.status_code


async def _ready(subject: Subject) -> Seen:
    health = await subject.endpoint.health(ASK_SECONDS)
    if health.ready:
        return Seen(health.message)
    raise FailedError(health.message)


async def _generation(subject: Subject) -> Seen:
    found = await subject.endpoint.finding()
    subject.finding = found
    what, engine = _WHAT[found.dialect], None
    if found.dialect in _ENGINES:
        version = await _engine_version(subject)
        engine = " ".join(filter(None, (_ENGINES[found.dialect], version)))
        what = what if found.release else engine
    elif found.release and found.dialect is Dialect.GENERIC:
        what = "a NIM"
    release = f", release {found.release}" if found.release else ""
    detail = f"{what}{release} (dialect {found.dialect}): {found.reason}"
    data = {
        "dialect": found.dialect.value,
        "release": found.release,
        "engine": engine,
        "reason": found.reason,
    }
    return Seen(detail, data=data)


async def _engine_version(subject: Subject) -> str | None:
    """What vLLM and SGLang say of themselves; a NIM may not pass the question on."""
    try:
        answer = await subject.ask(subject.endpoint.url.removesuffix("/v1") + "/version")
        version = answer.json().get("version")
    except (httpx.HTTPError, ValueError, AttributeError):
        return None
    return version if isinstance(version, str) and answer.status_code == 200 else None


async def _models(subject: Subject) -> Seen:
    subject.models = listed = await subject.endpoint.catalogue.models()
    if not listed:
        raise FailedError("it lists none")
    ids = [entry.id for entry in listed]
    missing = unserved(subject.wanted, [subject]) if subject.alone else []
    if missing:
        raise FailedError(f"{missing[0]} is not among them: {named(ids)}")
    kinds = {kind: sum(entry.kind is kind for entry in listed) for kind in Kind}
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    shown = f" ({named(ids)})" if len(ids) <= 3 else ""
    hosted = await _speaks_hosted(subject)
    note = "; which of them the account may call shows when they are called" if hosted else ""
    entries = [
        {
            "id": entry.id,
            "kind": entry.kind.value,
            "family": profile_of(entry.parent or entry.id).family,
            "context_length": entry.context_length,
            "callable": None if hosted else True,
        }
        for entry in listed
    ]
    return Seen(f"{counted}{shown}{note}", data={"models": entries})


CHECKS = (
    Check(
        "liveness",
        _live,
        "Check that the port is the NIM's HTTP port, 8000 by default; if it speaks TLS, write "
        "https:// in the address.",
        basic=True,
    ),
    Check("key", _key, _SET_KEY, basic=True),
    Check(
        "readiness",
        _ready,
        "Wait until the NIM has loaded its model; its log says how far it is (`docker logs`, "
        "`kubectl logs`), and GET /v1/health/ready when it is done.",
        basic=True,
    ),
    Check("generation", _generation, "Set `dialect` in run.yaml to what it is."),
    Check(
        "models",
        _models,
        "`llama-stack-nvidia models` lists what it serves: choose one of these, or start the NIM "
        "with the model.",
        basic=True,
    ),
)
