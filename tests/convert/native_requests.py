"""Arbitrary requests of the native API, for the property tests."""

from typing import Any

from hypothesis import strategies as st
from llama_stack.models.llama.datatypes import BuiltinTool

from llama_stack_provider_nvidia import stack

from ..strategies import names, plain_values, texts

_text_items = st.builds(lambda text: stack.TextContentItem(text=text), texts)
_text_content = texts | _text_items | st.lists(_text_items, min_size=1, max_size=3)
_images = st.sampled_from(
    [
        stack.ImageContentItem(image={"url": {"uri": "https://example.com/a.png"}}),
        stack.ImageContentItem(image={"data": "iVBORw0KGgoAAAANSUhEUg=="}),
    ]
)
_interleaved = _text_content | st.lists(_text_items | _images, min_size=1, max_size=3)
_native_calls = st.builds(
    lambda call_id, name, arguments: stack.ToolCall(
        call_id=call_id, tool_name=name, arguments=arguments
    ),
    names,
    names | st.sampled_from(list(BuiltinTool)),
    st.dictionaries(texts, plain_values, max_size=3),
)
messages = st.one_of(
    st.builds(lambda c: stack.UserMessage(content=c), _interleaved),
    st.builds(lambda c: stack.SystemMessage(content=c), _text_content),
    st.builds(lambda i, c: stack.ToolResponseMessage(call_id=i, content=c), names, _text_content),
    st.builds(
        lambda c, calls: stack.CompletionMessage(
            content=c, stop_reason="end_of_turn", tool_calls=calls
        ),
        _text_content,
        st.lists(_native_calls, max_size=2),
    ),
)
strategies_of_sampling = st.one_of(
    st.just({"type": "greedy"}),
    st.builds(
        lambda t, p: {"type": "top_p", "temperature": t, "top_p": p},
        st.none() | st.floats(0.01, 2),
        st.none() | st.floats(0.01, 1),
    ),
    st.builds(lambda k: {"type": "top_k", "top_k": k}, st.integers(1, 1000)),
)
sampling_params = st.builds(
    lambda strategy, most, penalty, stop: stack.SamplingParams(
        strategy=strategy, max_tokens=most, repetition_penalty=penalty, stop=stop
    ),
    strategies_of_sampling,
    st.none() | st.integers(0, 4096),
    st.none() | st.floats(0.1, 2),
    st.none() | st.lists(texts.filter(bool), max_size=4),
)
chat_requests = st.builds(
    lambda conversation, sampling, logprobs, stream: stack.ChatCompletionRequest(
        model="m", messages=conversation, sampling_params=sampling, logprobs=logprobs, stream=stream
    ),
    st.lists(messages, min_size=1, max_size=4),
    sampling_params,
    st.none() | st.builds(lambda k: {"top_k": k}, st.integers(0, 5)),
    st.booleans(),
)
completion_requests = st.builds(
    lambda content, sampling: stack.CompletionRequest(
        model="m", content=content, sampling_params=sampling
    ),
    _text_content,
    sampling_params,
)


def written(content: Any) -> list[str]:
    """Every piece of text in native content."""
    items = content if isinstance(content, list) else [content]
    pieces = [item if isinstance(item, str) else getattr(item, "text", "") for item in items]
    return [piece for piece in pieces if piece]
