"""The user's pip settings, translated for uv.

People behind a mirror or a proxy have told pip about it and expect `make` to obey.
uv reads none of pip's files, so what matters is handed to it by its own variables
(not by flags: an index address may hold a password, and flags show in process lists).
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlparse

# pip's order of precedence, least first.
_SECTIONS = ("global", "install", ":env:")


def parse_config_list(text: str) -> dict[str, str]:
    """Settings by name from the output of `pip config list`; the strongest section wins.

    A line is `section.name='value'`, the value written as a Python string.
    """
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in text.splitlines():
        key, separator, literal = line.partition("=")
        section, dot, name = key.rpartition(".")
        if not separator or not dot or section not in found:
            continue
        try:
            value = ast.literal_eval(literal)
        except (SyntaxError, ValueError):
            continue
        found[section][name] = str(value).strip()
    merged: dict[str, str] = {}
    for section in _SECTIONS:
        merged.update(found[section])
    return merged


def usable(location: str, exists: Callable[[str], bool] = os.path.exists) -> bool:
    """Whether an index or links location can be there: remote, or a local one that exists.

    pip passes over missing local locations; uv stops at them.
    """
    parsed = urlparse(location)
    if parsed.scheme == "file":
        return exists(unquote(parsed.path))
    if len(parsed.scheme) > 1:  # one letter is a Windows drive
        return True
    return exists(os.path.expanduser(location))


def uv_environment(
    settings: Mapping[str, str],
    environ: Mapping[str, str],
    exists: Callable[[str], bool] = os.path.exists,
) -> dict[str, str]:
    """The variables that make uv act on pip's settings.

    Args:
        settings: Names and values as `parse_config_list` gives them.
        environ: The environment; what the user has set for uv there is left alone.
        exists: Tells whether a local path is there.
    """

    def kept(name: str) -> list[str]:
        return [entry for entry in settings.get(name, "").split() if usable(entry, exists)]

    made: dict[str, str] = {}
    if index := kept("index-url"):
        made["UV_DEFAULT_INDEX"] = index[0]
    if extra := kept("extra-index-url"):
        made["UV_EXTRA_INDEX_URL"] = " ".join(extra)
        # pip takes the best version from all indexes; uv would stop at the first that has any.
        made["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if links := kept("find-links"):
        made["UV_FIND_LINKS"] = ",".join(links)
    if hosts := settings.get("trusted-host", "").split():
        made["UV_INSECURE_HOST"] = " ".join(hosts)
    if timeout := settings.get("timeout") or settings.get("default-timeout"):
        made["UV_HTTP_TIMEOUT"] = timeout
    if (cert := settings.get("cert")) and exists(cert):
        made["SSL_CERT_FILE"] = cert
    if (client_cert := settings.get("client-cert")) and exists(client_cert):
        made["SSL_CLIENT_CERT"] = client_cert
    if proxy := settings.get("proxy"):
        made["ALL_PROXY"] = proxy
    return {name: value for name, value in made.items() if name not in environ}


def uv_flags(settings: Mapping[str, str]) -> list[str]:
    """The one pip setting for which uv has a flag but no variable."""
    truthy = {"1", "true", "yes", "on"}
    return ["--no-index"] if settings.get("no-index", "").lower() in truthy else []
