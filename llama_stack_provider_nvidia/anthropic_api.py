"""Anthropic's Messages API, which OGX hands to the provider from 1.1 on.

The server's own converters make an OpenAI-style chat of a message and back.
"""

from typing import Any

from . import stack
from .openai_api import OpenAIMethods


class AnthropicMethods(OpenAIMethods):
    """Messages and their count of tokens, where the protocol has them."""

    if stack.ANTHROPIC:

        async def anthropic_messages(self, params: Any) -> Any:
            """Answer a message.

            Thinking goes to the NIM as ``reasoning_effort``, whatever its model.

            Returns:
                The stack's ``AnthropicMessageResponse``, or with ``stream`` an async iterator of
                its events.

            Raises:
                NIMError: As for a chat.
            """
            convert = stack.anthropic_converters()
            thinks = convert.is_thinking_requested(params.thinking)
            request = convert.anthropic_request_to_openai(params, reasoning_capable=thinks)
            if not params.stream:
                answer = await self.openai_chat_completion(request)
                return convert.openai_response_to_anthropic(
                    answer, params.model, include_thinking=thinks
                )
            # The last event tells the count.
            request.stream_options = {"include_usage": True}
            chunks = await self.openai_chat_completion(request)
            return convert.openai_stream_to_anthropic(chunks, params.model, include_thinking=thinks)

        async def anthropic_count_tokens(self, params: Any) -> Any:
            """Count the tokens of a message: the NIM reads it, and writes one token.

            Returns:
                The stack's ``AnthropicCountTokensResponse``.

            Raises:
                NIMError: As for a chat.
            """
            return await stack.counted_by(self.anthropic_messages, params)
