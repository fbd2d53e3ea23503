"""Checks of the service: liveness, API key, readiness, kind of NIM and models."""

from typing import Any
from urllib.parse import urlsplit

import httpx

from ..nim.dialect import Dialect
from ..nim.model_facts.model_ids import Kind
from ..nim.routing import named
from .check import SLOW, Check
from .context import DEFAULT_MODEL, CheckContext, unlisted_models
from .foreign_server import describe, is_html
from .results import CheckFailedError, CheckResult, CheckSkippedError

_GET_KEY = "export NVIDIA_API_KEY=nvapi-... (a key is made at https://build.nvidia.com)"
_SET_KEY = "export NVIDIA_API_KEY=..., or set api_key in run.yaml"
_REFUSED = (401, 403)
_NOT_FOUND, _PROXY_KEY = 404, 407
# Routes of which an inference API has at least one. The bodies are refused where they exist.
_EMPTY: dict[str, Any] = {}
_ROUTES = {
    "/models": None,
    "/chat/completions": _EMPTY,
    "/completions": _EMPTY,
    "/embeddings": _EMPTY,
    "/ranking": _EMPTY,
}
_WRONG_PATH = (
    "Correct the path of url, or leave it out: a NIM's routes are below http://host:port/v1. A "
    "gateway's documentation names the path that leads to the NIM."
)
_WHAT = {
    Dialect.NIM1: "NIM 1.x",
    Dialect.NIM2_VLLM: "NIM 2.x with vLLM",
    Dialect.NIM2_SGLANG: "NIM 2.x with SGLang",
    Dialect.HOSTED: "NVIDIA's hosted catalogue",
    Dialect.DYNAMO: "NVIDIA Dynamo",
    Dialect.GENERIC: "a server with OpenAI's API",
}
_ENGINES = {Dialect.NIM2_VLLM: "vLLM", Dialect.NIM2_SGLANG: "SGLang"}


async def _check_liveness(context: CheckContext) -> CheckResult:
    response = await _first_response(context)
    if response.is_redirect:
        where = response.headers.get("location", "elsewhere")
        raise CheckFailedError(
            f"the address redirects to {where}",
            "Set url to where it leads: a key is sent nowhere but to the configured address.",
        )
    if response.status_code >= 500:
        raise CheckFailedError(
            f"it answers {describe(response)}",
            "The server, or the gateway before it, is out of order: look at its log.",
        )
    if response.status_code == _PROXY_KEY:
        raise CheckFailedError(
            f"the proxy answers {describe(response)}",
            "Write the proxy's user name and password into `network.proxy` in run.yaml, or into "
            "HTTP_PROXY: http://user:password@host:port.",
        )
    if response.status_code == 200:
        _refuse_page(response)
        return CheckResult("its /v1/health/live says live")
    await _require_api(context)
    return CheckResult(f"it answers (HTTP {response.status_code}: no /v1/health/live here)")


async def _first_response(context: CheckContext) -> httpx.Response:
    try:
        return await context.request("/health/live")
    except httpx.TimeoutException:
        raise CheckFailedError(
            f"it accepts connections and does not answer within {context.request_timeout:g} s",
            f"{SLOW} A restart may help.",
        ) from None
    except httpx.HTTPError as error:
        said = str(error) or type(error).__name__
        if context.endpoint.url.startswith("https:"):
            raise CheckFailedError(
                f"the connection breaks after TLS: {said}",
                "The NIM may want a client certificate: set `network: {tls: {client_cert: ..., "
                "client_key: ...}}` in run.yaml.",
            ) from None
        raise CheckFailedError(f"what answers is not HTTP: {said}") from None


def _refuse_page(response: httpx.Response) -> None:
    """Raise ``CheckFailedError`` for a web page in place of an API's response."""
    if is_html(response):
        raise CheckFailedError(
            f"a web page answers: {describe(response)}",
            "This is a web site, or a proxy's page for people: set url to the address of the NIM.",
        )


async def _require_api(context: CheckContext) -> None:
    """Raise ``CheckFailedError`` if none of an inference API's routes exists at the address."""
    response: httpx.Response | None = None
    for path, body in _ROUTES.items():
        try:
            response = await context.request(path, body=body)
        except httpx.HTTPError:
            return  # later checks say more
        if response.status_code == 200:
            _refuse_page(response)
        if response.status_code != _NOT_FOUND:
            return
    assert response is not None  # there are routes
    raise CheckFailedError(
        f"there is no inference API at this path: {context.endpoint.url}/models answers "
        f"{describe(response)}",
        await _right_path(context),
    )


async def _right_path(context: CheckContext) -> str:
    """Return the remedy for a wrong path: the usual one, if an API is there."""
    parts = urlsplit(context.endpoint.url)
    usual = f"{parts.scheme}://{parts.netloc}/v1"
    try:
        response = await context.request(f"{usual}/models")
    except httpx.HTTPError:
        return _WRONG_PATH
    if is_html(response) or response.status_code not in (200, *_REFUSED):
        return _WRONG_PATH
    return f"Set url to {usual}: there is an inference API there."


async def _check_key(context: CheckContext) -> CheckResult:
    has_key = context.endpoint.has_key
    hosted = context.endpoint.is_hosted or await context.speaks_hosted()
    if hosted and not has_key:
        raise CheckFailedError("there is none, and the hosted catalogue wants one", _GET_KEY)
    try:
        response = await _request_with_key(context, hosted=hosted)
    except httpx.HTTPError as error:
        raise CheckSkippedError(
            f"no response to try it on: {error or type(error).__name__}"
        ) from None
    status = response.status_code
    if status not in _REFUSED and not hosted and status != 200:
        raise CheckSkippedError(f"nothing to check it with: its /models answers HTTP {status}")
    if status not in _REFUSED:
        found = "set and not refused" if has_key else "none, none needed"
        return CheckResult(found, data={"set": has_key})
    said = describe(response)
    if has_key:
        raise CheckFailedError(
            f"it is refused ({said})",
            "Check that the key is whole, still valid and for this address: "
            + (_GET_KEY if hosted else _SET_KEY),
        )
    raise CheckFailedError(
        f"there is none, and it wants one ({said})", _SET_KEY + _not_shared(context)
    )


def _not_shared(context: CheckContext) -> str:
    """Explain why the provider's own key is not used, if it has one."""
    if context.config.key is None:
        return ""
    return " under this endpoint: the provider's own key is not sent to another host"


async def _request_with_key(context: CheckContext, *, hosted: bool) -> httpx.Response:
    """Return the response to a request that needs the key."""
    listed = await context.request("/models")
    if not hosted:
        return listed
    # The catalogue's list is public. A chat without messages is refused in any case, but only
    # after the key was checked.
    try:
        ids = [entry["id"] for entry in listed.json()["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        ids = []
    model = DEFAULT_MODEL if DEFAULT_MODEL in ids or not ids else ids[0]
    return await context.request("/chat/completions", body={"model": model, "messages": []})


async def _check_readiness(context: CheckContext) -> CheckResult:
    health = await context.endpoint.health(context.request_timeout)
    if health.ready:
        return CheckResult(health.message)
    raise CheckFailedError(health.message, None if health.live else SLOW)


async def _check_generation(context: CheckContext) -> CheckResult:
    found = await context.endpoint.finding()
    context.finding = found
    what, engine = _WHAT[found.dialect], None
    if found.dialect in _ENGINES:
        version = await _engine_version(context)
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
    return CheckResult(detail, data=data)


async def _engine_version(context: CheckContext) -> str | None:
    """Return the engine's version; a NIM may hide the route."""
    try:
        response = await context.request(context.endpoint.url.removesuffix("/v1") + "/version")
        version = response.json().get("version")
    except (httpx.HTTPError, ValueError, AttributeError, RecursionError):
        return None
    return version if isinstance(version, str) and response.status_code == 200 else None


async def _check_models(context: CheckContext) -> CheckResult:
    context.models = listed = await context.endpoint.catalogue.models()
    if not listed:
        raise CheckFailedError("it lists none")
    ids = [entry.id for entry in listed]
    missing = unlisted_models(context.wanted, [context]) if context.alone else []
    if missing:
        raise CheckFailedError(f"{missing[0]} is not among them: {named(ids)}")
    kinds = {kind: sum(entry.kind is kind for entry in listed) for kind in Kind}
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    shown = f" ({named(ids)})" if len(ids) <= 3 else ""
    hosted = await context.speaks_hosted()
    note = "; which of them the account may call shows when they are called" if hosted else ""
    entries = [
        {
            "id": entry.id,
            "kind": entry.kind.value,
            "family": context.facts.profile(entry.id, entry.parent).family,
            "context_length": entry.context_length,
            "callable": None if hosted else True,
        }
        for entry in listed
    ]
    return CheckResult(f"{counted}{shown}{note}", data={"models": entries})


CHECKS = (
    Check(
        "liveness",
        _check_liveness,
        "Check that the port is the NIM's HTTP port, 8000 by default; if it speaks TLS, write "
        "https:// in the address.",
        basic=True,
    ),
    Check("key", _check_key, _SET_KEY, basic=True),
    Check(
        "readiness",
        _check_readiness,
        "Wait until the NIM has loaded its model, or in front of Dynamo until a worker for it is "
        "up; its log says how far it is (`docker logs`, `kubectl logs`), and GET /v1/models when "
        "it is done.",
        basic=True,
    ),
    Check("generation", _check_generation, "Set `dialect` in run.yaml to what it is."),
    Check(
        "models",
        _check_models,
        "`llama-stack-nvidia models` lists what it serves: choose one of these, or start the NIM "
        "with the model.",
        basic=True,
    ),
)
