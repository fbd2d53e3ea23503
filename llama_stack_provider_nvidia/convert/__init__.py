"""Conversion of Llama Stack's native types to OpenAI payloads and back: pure functions."""

from .chat import convert_openai_chat_completion_choice, convert_openai_chat_completion_stream
from .completion import convert_openai_completion_choice, convert_openai_completion_stream
from .embeddings import convert_embeddings_request
from .messages import convert_message
from .request import convert_chat_completion_request, convert_completion_request
from .tools import convert_tool_definition

__all__ = [
    "convert_chat_completion_request",
    "convert_completion_request",
    "convert_embeddings_request",
    "convert_message",
    "convert_openai_chat_completion_choice",
    "convert_openai_chat_completion_stream",
    "convert_openai_completion_choice",
    "convert_openai_completion_stream",
    "convert_tool_definition",
]
