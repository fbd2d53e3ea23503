"""Limits of httpx for clients of a real server."""

import httpx

# A connection for each request: servers from 0.5 on close theirs after an error, without a word,
# perhaps just as the next request comes.
NOT_KEPT = httpx.Limits(max_connections=None, max_keepalive_connections=0)
