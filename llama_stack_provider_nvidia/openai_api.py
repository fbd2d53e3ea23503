"""The OpenAI-style calls of the stack's inference protocol."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from openai import BaseModel as OpenAIModel
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from . import stack
from .base import NIMProvider
from .fields import plain_fields
from .nim.answers import usage
from .nim.answers.sdk import call_of_answer, call_of_chunk, decode_answer, last_chunk, spare_id
from .nim.answers.sdk_chunks import ChunkReader
from .nim.answers.shape import expected
from .nim.answers.shaper import shaped
from .nim.answers.stream import chunks, close_when_dropped, named
from .nim.answers.validation import checked, checked_stream
from .nim.answers.whole import reading
from .nim.dialect import Dialect


class OpenAIMethods(NIMProvider):
    """OpenAI-style chat and completion.

    They return the openai SDK's own classes, which every release of the stack can serialise.
    """

    @stack.with_protocol_signature
    async def openai_chat_completion(self, params: Any = None, **fields: Any) -> Any:
        """Answer a conversation.

        Returns:
            A ``ChatCompletion``, or with ``stream`` an async generator of
            ``ChatCompletionChunk``.

        Raises:
            NIMError: See ``nim.errors``. A stream raises it here, too, if the NIM refuses.
        """
        return await self._chat(plain_fields(params, fields))

    @stack.with_protocol_signature
    async def openai_completion(self, params: Any = None, **fields: Any) -> Any:
        """Continue a text.

        Returns:
            A ``Completion``, or with ``stream`` an async generator of them.

        Raises:
            NIMError: As above.
        """
        request = plain_fields(params, fields)
        if isinstance(request.get("logprobs"), bool):
            # Servers up to 0.7 make true or false of the number, which is 1 or 0 then.
            request["logprobs"] = int(request["logprobs"])
        if request.get("stream"):
            return await self._openai_stream("/completions", request, Completion)
        return await self._openai_ask("/completions", request, Completion)

    if stack.REASONING:

        async def openai_chat_completions_with_reasoning(self, params: Any) -> Any:
            """Answer a conversation, with what the model thought beside what it said.

            Returns:
                The stack's ``OpenAIChatCompletionWithReasoning``, or with ``stream`` an async
                generator of ``OpenAIChatCompletionChunkWithReasoning``.

            Raises:
                NIMError: As above.
            """
            answer = await self._chat(plain_fields(params, {}), stack.with_reasoning)
            return answer if params.stream else stack.answer_with_reasoning(answer)

    async def _chat(self, request: dict[str, Any], wrap: Callable[[Any], Any] | None = None) -> Any:
        path = "/chat/completions"
        if request.get("stream"):
            return await self._openai_stream(path, request, ChatCompletionChunk, wrap)
        return await self._openai_ask(path, request, ChatCompletion)

    async def _openai_ask(self, path: str, request: dict[str, Any], kind: type[OpenAIModel]) -> Any:
        asked = request["model"]
        endpoint, model = await self.target(asked)
        body = {**request, "model": model}
        constraint = await endpoint.constraint(body)
        response = await endpoint.send(path, body, key=self.request_key(), stream=False)
        with reading(model, endpoint.url, response) as exchange:
            answer: Any = decode_answer(response.content, kind, asked, expected(body))
            exchange.answered(
                usage=answer.usage,
                finish_reasons=[choice.finish_reason for choice in answer.choices],
                data=response.content,
            )
            if isinstance(answer, ChatCompletion) and (
                shaper := endpoint.shaper(body, call_of_answer)
            ):
                shaper.shape(answer)
            if constraint:
                checked(answer, constraint)
        return answer

    async def _openai_stream(
        self,
        path: str,
        request: dict[str, Any],
        kind: type[OpenAIModel],
        wrap: Callable[[Any], Any] | None = None,
    ) -> AsyncGenerator[Any, None]:
        asked = request["model"]
        endpoint, model = await self.target(asked)
        body = {**request, "model": model}
        counted = kind is ChatCompletionChunk and self.counts_tokens()
        # The catalogue's models differ in whether they take the question.
        asks = counted and (await endpoint.finding()).dialect is not Dialect.HOSTED
        wanted = usage.asking(body) if asks else body
        constraint = await endpoint.constraint(body)
        response = await endpoint.send(path, wanted, key=self.request_key(), stream=True)
        reader = ChunkReader(kind, asked, spare_id())
        decoded = chunks(
            response,
            reader.decode,
            model=model,
            endpoint=endpoint.url,
            answers=expected(body),
            joins=self.config.coalesce,
            check_end=reader.check_end,
        )
        decoded = usage.placed(decoded, asked=usage.is_asked(body), at_the_end=counted)
        convert = wrap or stack.storable
        shaper = endpoint.shaper(body, call_of_chunk) if kind is ChatCompletionChunk else None
        if shaper is None and constraint is None:
            relayed = _relayed(decoded, lambda chunk: convert(reader.build(chunk)))
        else:
            stream: AsyncGenerator[Any, None] = _relayed(decoded, reader.build)
            if shaper:
                stream = shaped(stream, shaper, last_chunk)
            if constraint:
                stream = checked_stream(stream, constraint)
            relayed = _relayed(stream, convert)
        relayed = named(relayed, response, model=model, endpoint=endpoint.url)
        close_when_dropped(relayed, response)
        return relayed


async def _relayed(
    stream: AsyncGenerator[Any, None], convert: Callable[[Any], Any]
) -> AsyncGenerator[Any, None]:
    try:
        async for chunk in stream:
            yield convert(chunk)
    finally:
        await stream.aclose()
