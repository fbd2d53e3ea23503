"""Finding: the result of probing an endpoint for its dialect."""

from dataclasses import dataclass

from ..dialect import Dialect


@dataclass(frozen=True)
class Finding:
    """The kind of NIM that an endpoint was found to be.

    Attributes:
        dialect: How it wants its requests.
        reason: The response that shows it, for people.
        release: The release that a NIM container names, such as ``1.8.4``.
        is_certain: All questions that it rests on were answered. A gateway's refusal, or a server
            that is starting, answers none; what is found then is a guess until the next question.
    """

    dialect: Dialect
    reason: str
    release: str | None = None
    is_certain: bool = True
