import pytest

from llama_stack_provider_nvidia.nim.answers.validation import constraint_of
from llama_stack_provider_nvidia.nim.answers.wire import CompletionChoice, CompletionChunk
from llama_stack_provider_nvidia.nim.dialect import Dialect
from llama_stack_provider_nvidia.nim.discovery.detect import Finding
from llama_stack_provider_nvidia.nim.errors import InvalidRequestError, ServerError
from llama_stack_provider_nvidia.nim.requests.prepare import Settings, prepare

GBNF = 'root ::= "a" | "b"'
LARK = '?start: "a" | "b"\n'
HELLO = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "required": ["n"]}


def finding(dialect, release=None):
    return Finding(dialect, "a test says so", release)


async def sent(dialect, release=None, **fields):
    body = {"model": "meta/llama-3.1-8b-instruct", "messages": HELLO, **fields}
    return await prepare(body, finding(dialect, release), Settings())


@pytest.mark.parametrize("written", [GBNF, LARK], ids=["GBNF", "Lark"])
@pytest.mark.parametrize(
    ("dialect", "release", "syntax"),
    [
        (Dialect.NIM1, "1.8.4", "lark"),
        (Dialect.NIM1, "1.14", "lark"),
        (Dialect.NIM1, "1.15.0", "gbnf"),
        (Dialect.NIM1, None, "as written"),
        (Dialect.NIM2_VLLM, "2.1.5", "gbnf"),
        (Dialect.NIM2_SGLANG, None, "gbnf"),
        (Dialect.DYNAMO, None, "gbnf"),
    ],
)
async def test_a_grammar_is_in_the_syntax_that_the_nim_reads(dialect, release, syntax, written):
    body = await sent(dialect, release, structured_outputs={"grammar": written})
    text = {
        Dialect.NIM1: lambda: body["nvext"]["guided_grammar"],
        Dialect.NIM2_VLLM: lambda: body["structured_outputs"]["grammar"],
        Dialect.NIM2_SGLANG: lambda: body["ebnf"],
        Dialect.DYNAMO: lambda: body["guided_grammar"],
    }[dialect]()
    if syntax == "as written":
        assert text == written
    else:
        assert ("::=" in text) == (syntax == "gbnf")


@pytest.mark.parametrize(
    ("model", "served"),
    [
        ("meta/llama-3.1-8b-instruct", False),
        ("bigcode/starcoder2-7b", True),
        ("somebody/unknown", True),
    ],
)
async def test_the_catalogue_completes_no_text_with_chat_models(model, served):
    body = {"model": model, "prompt": "Once"}
    if served:
        assert (await prepare(body, finding(Dialect.HOSTED), Settings()))["prompt"] == "Once"
    else:
        with pytest.raises(InvalidRequestError, match="no text completion"):
            await prepare(body, finding(Dialect.HOSTED), Settings())


async def test_images_beyond_the_limits_are_refused_unsent():
    url = "data:image/png;base64," + "iVBORw0KGgoAAAA" * 20000 + "AAA="
    image = {"type": "image_url", "image_url": {"url": url}}
    body = {
        "model": "meta/llama-3.2-11b-vision-instruct",
        "messages": [{"role": "user", "content": [image]}],
    }
    with pytest.raises(InvalidRequestError, match=r"messages\[0\].content\[0\]"):
        await prepare(body, finding(Dialect.HOSTED), Settings())


CHECKS = [
    ({"structured_outputs": {"regex": "[0-9]+"}}, "12", "a1"),
    ({"nvext": {"guided_choice": ["yes", "no"]}}, "no", "perhaps"),
    ({"structured_outputs": {"json": SCHEMA}}, '{"n": 1}', "{}"),
    ({"response_format": {"type": "json_object"}}, "{}", "[]"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        '{"n": 1}',
        "n",
    ),
]


@pytest.mark.parametrize(("fields", "good", "bad"), CHECKS)
def test_an_answer_is_checked_against_what_was_asked_for(fields, good, bad):
    constraint = constraint_of(fields)
    constraint.check(good, finish_reason="stop")
    with pytest.raises(ServerError, match="did not enforce"):
        constraint.check(bad, finish_reason="stop")
    with pytest.raises(ServerError, match="cut by max_tokens"):
        constraint.check(good, finish_reason="length")


@pytest.mark.parametrize(
    "fields",
    [{}, {"structured_outputs": {"grammar": GBNF}}, {"response_format": {"type": "text"}}],
)
def test_nothing_is_checked_where_nothing_can_be(fields):
    assert constraint_of(fields) is None


def test_each_choice_of_a_completion_is_checked_by_itself():
    from llama_stack_provider_nvidia.nim.answers.validation import Follower

    follower = Follower(constraint_of({"guided_regex": "ab"}))
    chunk = CompletionChunk(
        choices=[CompletionChoice(index=0, text="a"), CompletionChoice(index=1, text="a")]
    )
    follower.see(chunk)
    follower.see(
        CompletionChunk(choices=[CompletionChoice(index=0, text="b", finish_reason="stop")])
    )
    with pytest.raises(ServerError):
        follower.see(
            CompletionChunk(choices=[CompletionChoice(index=1, text="x", finish_reason="stop")])
        )
