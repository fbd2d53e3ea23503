"""The OpenAI-style methods of the stack's inference protocol."""

from collections.abc import Callable
from typing import Any

from .. import stack
from ..nim.completions import Converter
from ..nim.json_types import JSONObject
from ..nim.responses.openai_codec import OpenAICodec
from .base import NIMProvider
from .fields import plain_fields


class OpenAIMixin(NIMProvider):
    """OpenAI-style chat and completion.

    They return the openai SDK's own classes, which every release of the stack can serialise.
    """

    @stack.with_protocol_signature
    async def openai_chat_completion(self, params: Any = None, **fields: Any) -> Any:
        """Return a chat completion.

        Returns:
            A ``ChatCompletion``, or with ``stream`` an async generator of
            ``ChatCompletionChunk``.

        Raises:
            NIMError: See ``nim.errors``. A stream raises it here, too, if the NIM refuses.
        """
        return await self._openai_complete(plain_fields(params, fields))

    @stack.with_protocol_signature
    async def openai_completion(self, params: Any = None, **fields: Any) -> Any:
        """Return a text completion.

        Returns:
            A ``Completion``, or with ``stream`` an async generator of them.

        Raises:
            NIMError: As above.
        """
        request = plain_fields(params, fields)
        if isinstance(request.get("logprobs"), bool):
            # Servers up to 0.7 make true or false of the number, which is 1 or 0 then.
            request["logprobs"] = int(request["logprobs"])
        return await self._openai_complete(request, chat=False)

    if stack.REASONING:

        async def openai_chat_completions_with_reasoning(self, params: Any) -> Any:
            """Return a chat completion with the reasoning beside the message.

            Returns:
                The stack's ``OpenAIChatCompletionWithReasoning``, or with ``stream`` an async
                generator of ``OpenAIChatCompletionChunkWithReasoning``.

            Raises:
                NIMError: As above.
            """
            response = await self._openai_complete(
                plain_fields(params, {}), wrap=stack.with_reasoning
            )
            return response if params.stream else stack.response_with_reasoning(response)

    async def _openai_complete(
        self,
        request: JSONObject,
        *,
        chat: bool = True,
        wrap: Callable[[Any], Any] = stack.storable,
    ) -> Any:
        name: Any = request.get("model")
        key = self.request_key()
        endpoint, model = await self.target(name)
        body, codec = {**request, "model": model}, OpenAICodec(name, chat=chat)
        if not body.get("stream"):
            return await endpoint.complete(body, codec, key=key)
        return await endpoint.stream(
            body,
            codec,
            key=key,
            merge=self.config.coalesce,
            counts_tokens=chat and self.counts_tokens(),
            output=Converter(wrap),
        )
