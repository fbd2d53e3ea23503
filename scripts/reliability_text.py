"""Template of docs/reliability.md; ``scripts.reliability_report`` fills in the figures."""

PROMISES = """\
# Reliability

What the provider guarantees when a NIM fails, and the tests that prove it. `make reliability` runs
the tests and writes this page; the [configuration](configuration.md) describes each setting.

## What is promised

**A truncated response never looks complete.** A response is either correct or an error that says
what happened: a stream that ends too early, a broken connection, an error report in the middle, a
body that is not JSON, a field of a wrong type, a finish reason that says that the engine gave up.
Content that came before the error is passed on first. Only what leaves no trace cannot be detected:
an empty text from the NIM is a valid response, and an event without data is ignored, as the rules
of server-sent events say.

**A request is retried only while none of its response has arrived**: after a connection that failed
or broke before the status, and after the statuses 408, 429, 502, 503, 504 and 529. The waits are
0.5 and 1 seconds, minus a random quarter at most, and never longer than 8; `Retry-After` overrides
them. `max_retries` (2) limits the number of retries, `retry_timeout` (60 s) their time. If the NIM
asks for a longer wait, the request fails at once. A timeout is not retried, because the NIM still
works on the first request; neither is a certificate that was refused.

**Every wait can have a deadline.** `connect_timeout` (10 s) and `timeout` (600 s until the next
bytes) always apply. `first_token_timeout`, `token_timeout` and `total_timeout` are off by default;
without `total_timeout`, an endless response has no end. An error names the setting that ended the
wait.

**A client that disconnects stops the NIM.** Its connection to the NIM is closed at once, which ends
the generation.

**A NIM that is down does not require a restart of the stack.** Requests fail within the retries,
with an error that says that the NIM cannot be reached, and succeed again as soon as the NIM is
back. Requests in flight fail, or are retried if none of their response had arrived.

**The rate limiter protects the NIM.** `max_concurrent_requests` and `requests_per_minute` let the
other requests wait, in a queue per key, and the keys take turns. A request that waits longer than
`timeout` is refused with status 429. A key has at most 1000 open connections
(`network.limits.max_connections`); a server with that many needs about two file descriptors for
each.

**Shutting down drains.** Running requests have four of the five seconds that Llama Stack gives a
provider. What is not complete then is cut off with an error.

What a client sees also depends on the server. Up to 0.2.x, the server turns some errors of any
provider into a status 500 without the reason; from 0.3 on it passes on status and text.

"""

MEASURED = """
Recorded on {date} by `make reliability`, with a real server, the emulated NIM and the clients, each
in its own process.
"""

MEMORY = """\
*Left behind* is what the server has after the test and did not have before: open file descriptors
(except those of the stack's own databases), sockets and asyncio tasks.

Memory is compared between rounds, because Python does not return all of it. A second round of
streams may add {streams_bound:g} MiB to the first; it added {streams} MiB. Between the
second and the last third of the hour's requests the median may grow by {hour_bound:g} MiB; it
grew by {hour} MiB. Runs of these sizes
have grown by up to 4.2 and 1.9 MiB; each bound is about twice the larger. A small leak stays below
such a bound; sockets and tasks reveal it.
"""

COMPARED = """\
## Every fault, with this provider and the built-in

The [emulated NIM](../nim_emulator/docs/reference.md#faults) can play these faults. Each form of
each fault was applied to a native and an OpenAI-style chat, streaming or not: {cases} cases. The
built-in `remote::nvidia` of {release} got the same, called in the same process in the same way.

Both had a `timeout` of {timeout_s} s and at most {retries} retries, which is what the built-in
always does. This provider also had a `total_timeout` of {total_timeout_s} s; the built-in has no
such setting, and a response that did not end within {hang_s} s counts as *no end*. The fault
applied to every attempt.

- *right answer*: what the NIM sent, including tool calls. If the NIM sent no text, an event without
  data, or two calls with the same id, that is what it sent.
- *clear error*: the error says that the NIM, or the connection to it, is at fault.
- *unclear error*: an error of Python, such as `'NoneType' object is not iterable`, or of a JSON
  parser: it says neither to callers nor to operators what happened. Servers of 0.2.x turn some of
  them into a 400, which blames the caller.
- *looks complete*: no error, but not what the NIM sent.
"""

EACH = """\
By fault, as described on [the emulator's page](../nim_emulator/docs/reference.md#faults):
"""

EXAMPLES = """\
One recorded case of each bad outcome:
"""
