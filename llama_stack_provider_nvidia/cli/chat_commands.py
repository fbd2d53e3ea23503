"""Commands inside a chat, such as /clear."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .output import CommandError

if TYPE_CHECKING:
    from ..nim.routing import Target
    from .conversation import Conversation

_HELP = """\
/clear          forget the conversation, but not the system message
/model [NAME]   show the model, or use another one
/system [TEXT]  show the system message, or set it
/save FILE      write the conversation to a new file, as JSON
/exit, /quit    leave, as Ctrl-D does
/help           show this list
Ctrl-C stops an answer. A space before the / sends the line to the model."""


class Leave(Exception):  # noqa: N818 - no error
    """The user leaves the chat."""


def run_command(line: str, conversation: Conversation, find: Callable[[str | None], Target]) -> str:
    """Run a command and return the text to show.

    Args:
        line: The line, which starts with a slash.
        conversation: What the command is about.
        find: Finds the NIM of a model or raises ``CommandError``.

    Raises:
        Leave: The command is /exit or /quit.
    """
    name, _, argument = line.strip().partition(" ")
    argument = argument.strip()
    if name in ("/exit", "/quit"):
        raise Leave
    if name == "/help":
        return _HELP
    if name == "/clear":
        conversation.clear()
        return "The conversation is forgotten."
    if name == "/model":
        return _model(argument, conversation, find)
    if name == "/system":
        if argument:
            conversation.set_system(argument)
        return conversation.system or "There is no system message."
    if name == "/save":
        return _save(argument, conversation)
    return f"There is no command {name}. /help lists the commands; nothing was sent to the model."


def _model(argument: str, conversation: Conversation, find: Callable[[str | None], Target]) -> str:
    if argument:
        try:
            conversation.use(find(argument))
        except CommandError as error:
            return str(error)
    return conversation.model


def _save(argument: str, conversation: Conversation) -> str:
    if not argument:
        return "Name the file: /save FILE"
    path = Path(argument)
    document = {"model": conversation.model, "messages": conversation.messages}
    try:
        path = path.expanduser()
        with path.open("x", encoding="utf-8") as file:
            json.dump(document, file, indent=2, ensure_ascii=False)
            file.write("\n")
    except FileExistsError:
        return f"{path} exists: name another file."
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    except (RuntimeError, ValueError) as error:  # no such home directory, or a null byte
        return f"{path} cannot be written: {error}"
    return f"Wrote {path}."
