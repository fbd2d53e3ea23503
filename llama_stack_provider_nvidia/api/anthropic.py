"""Anthropic's Messages API, as OGX calls it from 1.1 on.

The server's own converters turn a message into an OpenAI-style chat and its response back.
"""

from typing import Any

from .. import stack
from .base import NIMProvider


class AnthropicMixin(NIMProvider):
    """Messages, and the count of a message's tokens."""

    async def anthropic_messages(self, params: Any) -> Any:
        """Return the response to a message.

        A request for reasoning goes to the NIM as ``reasoning_effort``, whatever its model.

        Args:
            params: An ``AnthropicCreateMessageRequest``.

        Returns:
            The stack's ``AnthropicMessageResponse``, or with ``stream`` an async iterator of
            its events.

        Raises:
            NIMError: As for a chat.
        """
        convert = stack.anthropic_converters()
        reasons = convert.is_thinking_requested(params.thinking)
        request = convert.anthropic_request_to_openai(params, reasoning_capable=reasons)
        if not params.stream:
            response = await self.openai_chat_completion(request)
            return convert.openai_response_to_anthropic(
                response, params.model, include_thinking=reasons
            )
        request.stream_options = {"include_usage": True}  # the last event reports the usage
        chunks = await self.openai_chat_completion(request)
        return convert.openai_stream_to_anthropic(chunks, params.model, include_thinking=reasons)

    async def anthropic_count_tokens(self, params: Any) -> Any:
        """Count the tokens of a message: the NIM reads it, and generates one token.

        Args:
            params: An ``AnthropicCountTokensRequest``.

        Returns:
            The stack's ``AnthropicCountTokensResponse``.

        Raises:
            NIMError: As for a chat.
        """
        return await stack.count_tokens(self.anthropic_messages, params)
