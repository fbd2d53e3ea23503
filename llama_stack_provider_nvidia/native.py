"""The native calls of the stack's inference protocol, which it had up to 0.2.24."""

import logging
from functools import partial
from typing import Any

from . import stack
from .convert import (
    convert_chat_completion_request,
    convert_completion_request,
    convert_embeddings_request,
    convert_openai_chat_completion_choice,
    convert_openai_chat_completion_stream,
    convert_openai_completion_choice,
    convert_openai_completion_stream,
)
from .nim.answers.stream import close_when_dropped, named
from .nim.answers.wire import ChatChunk, CompletionChunk
from .nim.endpoint import Endpoint
from .nim.retrieval.vectors import as_numbers
from .nim.transport.batch import bounded_map
from .retrieval import RetrievalMethods

logger = logging.getLogger(__name__)


class NativeMethods(RetrievalMethods):
    """Native chat, completion, batches and embeddings."""

    async def chat_completion(
        self,
        model_id: str,
        messages: list[Any],
        sampling_params: Any = None,
        response_format: Any = None,
        tools: list[Any] | None = None,
        tool_choice: Any = None,
        tool_prompt_format: Any = None,
        stream: bool | None = False,
        logprobs: Any = None,
        tool_config: Any = None,
    ) -> Any:
        """Answer a conversation.

        Returns:
            A ``ChatCompletionResponse``, or with ``stream`` an async generator of
            ``ChatCompletionResponseStreamChunk``.

        Raises:
            NIMError: See ``nim.errors``; what can be seen to be wrong is refused unsent.
        """
        if tool_config is None:
            tool_config = stack.ToolConfig(
                tool_prompt_format=tool_prompt_format,
                **({} if tool_choice is None else {"tool_choice": tool_choice}),
            )
        _note_prompt_format(tool_config.tool_prompt_format)
        endpoint, model = await self.target(model_id)
        request = stack.ChatCompletionRequest(
            model=model,
            messages=messages,
            sampling_params=sampling_params or stack.SamplingParams(),
            tools=tools or [],
            tool_config=tool_config,
            response_format=response_format,
            stream=stream,
            logprobs=logprobs,
        )
        body = _flat(convert_chat_completion_request(request))
        mode = self.config.reasoning
        if stream:
            convert = partial(convert_openai_chat_completion_stream, reasoning=mode)
            return await self._stream(endpoint, body, ChatChunk, convert)
        answer = await endpoint.ask(body, ChatChunk, key=self.request_key())
        return convert_openai_chat_completion_choice(_first(answer.choices), reasoning=mode)

    async def completion(
        self,
        model_id: str,
        content: Any,
        sampling_params: Any = None,
        response_format: Any = None,
        stream: bool | None = False,
        logprobs: Any = None,
    ) -> Any:
        """Continue a text.

        Returns:
            A ``CompletionResponse``, or with ``stream`` an async generator of
            ``CompletionResponseStreamChunk``.

        Raises:
            NIMError: See ``nim.errors``; what can be seen to be wrong is refused unsent.
        """
        endpoint, model = await self.target(model_id)
        request = stack.CompletionRequest(
            model=model,
            content=content,
            sampling_params=sampling_params or stack.SamplingParams(),
            response_format=response_format,
            stream=stream,
            logprobs=logprobs,
        )
        body = _flat(convert_completion_request(request))
        if stream:
            convert = convert_openai_completion_stream
            return await self._stream(endpoint, body, CompletionChunk, convert)
        answer = await endpoint.ask(body, CompletionChunk, key=self.request_key())
        return convert_openai_completion_choice(_first(answer.choices))

    async def _stream(
        self, endpoint: Endpoint, body: dict[str, Any], kind: Any, convert: Any
    ) -> Any:
        chunks, response = await endpoint.stream(
            body, kind, key=self.request_key(), joins=self.config.coalesce
        )
        converted = named(convert(chunks), response, model=body["model"], endpoint=endpoint.url)
        close_when_dropped(converted, response)
        return converted

    async def batch_chat_completion(
        self,
        model_id: str,
        messages_batch: list[list[Any]],
        sampling_params: Any = None,
        tools: list[Any] | None = None,
        tool_config: Any = None,
        response_format: Any = None,
        logprobs: Any = None,
    ) -> Any:
        """Answer several conversations, a bounded number at a time.

        Returns:
            A ``BatchChatCompletionResponse`` in the order of the conversations.

        Raises:
            NIMError: The first failure; the other requests are cancelled.
        """

        async def answer(messages: list[Any]) -> Any:
            return await self.chat_completion(
                model_id,
                messages,
                sampling_params,
                response_format,
                tools,
                logprobs=logprobs,
                tool_config=tool_config,
            )

        answers = await bounded_map(answer, messages_batch, self.config.batch_concurrency)
        return stack.BatchChatCompletionResponse(batch=answers)

    async def batch_completion(
        self,
        model_id: str,
        content_batch: list[Any],
        sampling_params: Any = None,
        response_format: Any = None,
        logprobs: Any = None,
    ) -> Any:
        """Continue several texts, a bounded number at a time.

        Returns:
            A ``BatchCompletionResponse`` in the order of the texts.

        Raises:
            NIMError: The first failure; the other requests are cancelled.
        """

        async def answer(content: Any) -> Any:
            return await self.completion(
                model_id, content, sampling_params, response_format, logprobs=logprobs
            )

        answers = await bounded_map(answer, content_batch, self.config.batch_concurrency)
        return stack.BatchCompletionResponse(batch=answers)

    async def embeddings(
        self,
        model_id: str,
        contents: list[Any],
        text_truncation: Any = None,
        output_dimension: int | None = None,
        task_type: Any = None,
    ) -> Any:
        """Embed texts, and images with the models that can.

        Returns:
            An ``EmbeddingsResponse`` in the order of the texts.

        Raises:
            NIMError: See ``nim.errors``; what can be seen to be wrong is refused unsent.
        """
        request = convert_embeddings_request(
            model_id,
            contents,
            text_truncation=text_truncation,
            output_dimension=output_dimension,
            task_type=task_type,
        )
        embedded = await self.embed(request)
        vectors = [as_numbers(vector) for vector in embedded.vectors]
        # Not validated: these are megabytes, and lists of numbers they are.
        return stack.EmbeddingsResponse.model_construct(embeddings=vectors)


def _flat(payload: dict[str, Any]) -> dict[str, Any]:
    """Make a JSON body of the SDK's keyword arguments, as the SDK does."""
    extensions = payload.pop("extra_body", {})
    return {**payload, **extensions}


def _first(choices: list[Any] | None) -> Any:
    """The choice with index 0: servers may send them in any order."""
    assert choices, "an answer has choices: checked when it was decoded"
    return min(choices, key=lambda choice: choice.index or 0)


def _note_prompt_format(tool_prompt_format: Any) -> None:
    """Say that a NIM chooses the format of tool prompts itself: it comes from its template."""
    if tool_prompt_format not in (None, stack.ToolPromptFormat.json):
        logger.warning(
            "tool_prompt_format %s has no effect: a NIM's chat template decides how the model "
            "sees tools. Tool calls come back parsed all the same.",
            tool_prompt_format.value,
        )
