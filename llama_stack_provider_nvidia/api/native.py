"""The native methods of the stack's inference protocol, up to release 0.2.24."""

import logging
from typing import Any

from .. import stack
from ..convert import (
    convert_embeddings_request,
    convert_openai_chat_completion_choice,
    convert_openai_completion_choice,
)
from ..convert.chat import ChatEvents
from ..convert.completion import CompletionEvents
from ..convert.request import chat_completion_body, completion_body
from ..nim.responses.struct_codec import CHAT, COMPLETION
from ..nim.retrieval.vectors import as_numbers
from ..nim.transport.batch import bounded_map
from .base import NIMProvider

logger = logging.getLogger(__name__)


class NativeMixin(NIMProvider):
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
        """Return a chat completion.

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
        key = self.request_key()
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
        body, config = chat_completion_body(request), self.config
        if stream:
            events = ChatEvents(reasoning=config.reasoning)
            return await endpoint.stream(
                body,
                CHAT,
                key=key,
                merge=config.coalesce,
                opening=events.opening(),
                output=events,
            )
        response = await endpoint.complete(body, CHAT, key=key)
        choice = _first(response.choices)
        return convert_openai_chat_completion_choice(choice, reasoning=config.reasoning)

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
        key = self.request_key()
        endpoint, model = await self.target(model_id)
        request = stack.CompletionRequest(
            model=model,
            content=content,
            sampling_params=sampling_params or stack.SamplingParams(),
            response_format=response_format,
            stream=stream,
            logprobs=logprobs,
        )
        body = completion_body(request)
        if stream:
            merge, events = self.config.coalesce, CompletionEvents()
            return await endpoint.stream(body, COMPLETION, key=key, merge=merge, output=events)
        response = await endpoint.complete(body, COMPLETION, key=key)
        return convert_openai_completion_choice(_first(response.choices))

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
        """Return the chat completions of several conversations, a bounded number at a time.

        Returns:
            A ``BatchChatCompletionResponse`` in the order of the conversations.

        Raises:
            NIMError: The first failure; the other requests are cancelled.
        """

        async def complete(messages: list[Any]) -> Any:
            return await self.chat_completion(
                model_id,
                messages,
                sampling_params,
                response_format,
                tools,
                logprobs=logprobs,
                tool_config=tool_config,
            )

        responses = await bounded_map(complete, messages_batch, self.config.batch_concurrency)
        return stack.BatchChatCompletionResponse(batch=responses)

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

        async def complete(content: Any) -> Any:
            return await self.completion(
                model_id, content, sampling_params, response_format, logprobs=logprobs
            )

        responses = await bounded_map(complete, content_batch, self.config.batch_concurrency)
        return stack.BatchCompletionResponse(batch=responses)

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


def _first(choices: list[Any] | None) -> Any:
    """The choice with index 0: servers may send them in any order."""
    assert choices, "a response has choices: checked when it was decoded"
    return min(choices, key=lambda choice: choice.index or 0)


def _note_prompt_format(tool_prompt_format: Any) -> None:
    """Log that a NIM chooses the format of tool prompts itself: it comes from its template."""
    if tool_prompt_format not in (None, stack.ToolPromptFormat.json):
        logger.warning(
            "tool_prompt_format %s has no effect: a NIM's chat template decides how the model "
            "sees tools. Tool calls come back parsed all the same.",
            tool_prompt_format.value,
        )
