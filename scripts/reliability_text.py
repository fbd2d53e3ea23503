"""The words of docs/reliability.md; the figures are put in by ``scripts.reliability_report``."""

PROMISES = """\
# Reliability

What the provider does when a NIM is not at its best, and the tests that hold it to that. `make
reliability` runs them and writes this page; the [configuration](configuration.md) describes each
setting.

## What is promised

**An answer that was cut short never looks complete.** An answer is right, or it is an error that
says what happened: a stream that ends before the answer did, a connection that breaks, an error
report in the middle, a body that is no JSON, a field of a wrong type. What came before the error
is handed on first. What leaves no trace cannot be found: a NIM that sends an empty text has said
nothing, and an event without data is none, by the rules of server-sent events.

**A request is sent again only while nothing of its answer has come.** That is so after a
connection that failed or broke before the answer's status, and after the statuses 408, 429, 502,
503, 504 and 529. The waits are 0.5 and 1 seconds, a quarter of that at random less, and never
longer than 8; `Retry-After` goes before them. `max_retries` (2) says how often, `retry_timeout`
(60 s) until when. A NIM that wants a longer wait is not waited for: the caller is told. A NIM
that takes long is not asked twice, because it is still at work on the first request; nor is a
certificate that was refused.

**Every wait can have an end.** `connect_timeout` (10 s) and `timeout` (600 s until the next
bytes) always hold. `first_token_timeout`, `token_timeout` and `total_timeout` are there for
those who set them; without `total_timeout` an answer that goes on for ever is carried for ever.
An error names the setting that ended the wait.

**A client that leaves stops the NIM**: its connection is closed at once, and with it the
generation.

**A NIM that is down is no reason to restart the stack.** Requests fail within the retries, with
an error that says that the NIM cannot be reached, and are answered again as soon as it is back.
What was in flight fails, or is sent again if nothing of its answer had come.

**Limits keep a NIM from being flooded.** `max_concurrent_requests` and `requests_per_minute` let
the rest wait, each key in a line of its own, and the lines take turns. A request that waits
longer than `timeout` is refused with status 429. Up to 1000 connections per key are open at a
time (`network.limits.max_connections`); a server with so many needs about two file descriptors
for each.

**Shutting down drains.** Requests under way have four of the five seconds that Llama Stack gives
a provider; what is not complete then is cut off, and its clients are told.

What a caller is told depends on the server, too. Up to 0.2.x it gives some errors of any
provider the status 500 without the reason; from 0.3 on it hands on status and text.

"""

MEASURED = """
Recorded on {date} by `make reliability`: a real server, the emulated NIM and the clients, each a
process of its own.
"""

MEMORY = """\
*Left behind* is what the server holds after the test beyond what it held before: open file
descriptors (the stack's own databases apart), sockets, and asyncio tasks, counted in the server.

Memory is compared with itself, because Python keeps what it once had. A second round of streams
may add {streams_bound:g} MiB to what the first one needed; it added {streams} MiB. Between the
second and the last third of the hour's requests the median may grow by {hour_bound:g} MiB; it
grew by {hour} MiB. Runs of these sizes
have grown by up to 4.2 and 1.9 MiB; each bound is about twice the larger. A small leak hides below
such a bound: sockets and tasks are what finds it.
"""

COMPARED = """\
## Every fault, here and with the built-in provider

The [emulated NIM](emulator.md#faults) can play these faults. Each was met, in each of its forms,
by a native and an OpenAI-style chat, whole and streamed: {cases} cases. Beside this provider the
built-in `remote::nvidia` of {release} met the same, called in the same process in the same way.

Both had a `timeout` of {timeout_s} s and sent a request {retries} times more at most, which is
what the built-in always does. This provider had a `total_timeout` of {total_timeout_s} s as
well; the built-in has no such setting, and what had no end after {hang_s} s counts as without
end. The fault held for every try.

- *right answer*: what the NIM sent, tool calls included. Where it sent no text, an event without
  data, or two calls with the same id, that counts as sent: nobody can know of more.
- *clear error*: one that says that the NIM, or the way there, is at fault.
- *unclear error*: one of Python's own, such as `'NoneType' object is not iterable`, or of a JSON
  parser: it fails, but says neither to callers nor to operators what has happened. Servers of
  0.2.x answer some of them with 400, as if the caller were to blame.
- *looks complete*: no error, and yet not the answer.
"""

EACH = """\
By fault; [the emulator's page](emulator.md#faults) says what each does.
"""

EXAMPLES = """\
One case of each outcome that is no good, as it was recorded:
"""
