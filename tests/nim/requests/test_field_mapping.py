import copy
import logging

import pytest

from llama_stack_provider_nvidia.nim.dialect import Dialect, is_hosted
from llama_stack_provider_nvidia.nim.errors import InvalidRequestError
from llama_stack_provider_nvidia.nim.requests import field_mapping as place_module
from llama_stack_provider_nvidia.nim.requests.field_mapping import map_fields
from llama_stack_provider_nvidia.nim.requests.field_table import FIELD_ALIASES, FIELD_TABLE

SCHEMA = {"type": "object"}
FORMAT = {"type": "json_schema", "json_schema": {"name": "response", "schema": SCHEMA}}
BASE = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stop": ["x"], "n": 2}
EVERYWHERE = list(Dialect)
DROPPED: dict = {}


def same(field, value, *dialects):
    return {dialect: {field: value} for dialect in dialects}


def guided(kind, value, sglang=None):
    cells = {
        "nim1": {"nvext": {f"guided_{kind}": value}},
        "nim2-vllm": {"structured_outputs": {kind: value}},
        "dynamo": {f"guided_{kind}": value},
    }
    return {**cells, "nim2-sglang": sglang} if sglang else cells


def extension(field, value, nim1=True):
    cells = same(field, value, *map(str, Dialect))
    return {**cells, "nim1": {"nvext": {field: value}}} if nim1 else cells


def but_dynamo(field, value):
    return same(field, value, *(str(d) for d in Dialect if d is not Dialect.DYNAMO))


def bookkeeping(field, *, kept=()):
    value = {"a": "b"} if field == "metadata" else "x"
    takers = {"nim2-vllm", "nim2-sglang", "generic", *kept}
    return (
        {field: value},
        {d: {field: value} if d in takers else DROPPED for d in map(str, Dialect)},
    )


# What callers write, and where each dialect has it; a dialect that is missing must refuse.
CELLS = {
    "JSON schema": (
        {"response_format": FORMAT},
        {
            **same("response_format", FORMAT, *map(str, Dialect)),
            "nim1": {"nvext": {"guided_json": SCHEMA}},
        },
    ),
    "json constraint": (
        {"structured_outputs": {"json": SCHEMA}},
        {
            **guided("json", SCHEMA),
            **same("response_format", FORMAT, "nim2-sglang", "hosted", "generic"),
        },
    ),
    "grammar constraint": (
        {"structured_outputs": {"grammar": "root ::= x"}},
        guided("grammar", "root ::= x", {"ebnf": "root ::= x"}),
    ),
    "regex constraint": (
        {"structured_outputs": {"regex": "[0-9]+"}},
        guided("regex", "[0-9]+", {"regex": "[0-9]+"}),
    ),
    "choice constraint": (
        {"structured_outputs": {"choice": ["a.b", "c|d"]}},
        guided("choice", ["a.b", "c|d"], {"regex": r"(a\.b|c\|d)"}),
    ),
    "whitespace pattern": (
        {"structured_outputs": {"whitespace_pattern": " "}},
        {
            "nim1": {"nvext": {"guided_whitespace_pattern": " "}},
            "nim2-vllm": {"structured_outputs": {"whitespace_pattern": " "}},
            "dynamo": {"guided_whitespace_pattern": " "},
        },
    ),
    "top_k": ({"top_k": 5}, extension("top_k", 5)),
    "repetition_penalty": ({"repetition_penalty": 1.1}, extension("repetition_penalty", 1.1)),
    "ignore_eos": ({"ignore_eos": True}, extension("ignore_eos", True)),
    "min_p": ({"min_p": 0.1}, extension("min_p", 0.1, nim1=False)),
    "min_tokens": ({"min_tokens": 3}, extension("min_tokens", 3, nim1=False)),
    "stop_token_ids": ({"stop_token_ids": [3]}, extension("stop_token_ids", [3], nim1=False)),
    "length_penalty": (
        {"length_penalty": 1.1},
        same("length_penalty", 1.1, "nim1", "nim2-vllm", "hosted", "generic"),
    ),
    "thinking_token_budget": (
        {"thinking_token_budget": 9},
        {
            "nim1": {"nvext": {"max_thinking_tokens": 9}},
            "nim2-vllm": {"thinking_token_budget": 9},
            "dynamo": {"nvext": {"max_thinking_tokens": 9}},
            "hosted": {"reasoning_budget": 9},
            "generic": {"thinking_token_budget": 9},
        },
    ),
    "max_completion_tokens": (
        {"max_completion_tokens": 7},
        {
            **same("max_completion_tokens", 7, *map(str, Dialect)),
            **same("max_tokens", 7, "nim1", "hosted"),
        },
    ),
    "logit_bias": ({"logit_bias": {"5": 1}}, but_dynamo("logit_bias", {"5": 1})),
    "best_of": ({"best_of": 2}, but_dynamo("best_of", 2)),
    "echo": ({"echo": True}, but_dynamo("echo", True)),
    "suffix": ({"suffix": "x"}, but_dynamo("suffix", "x")),
    "metadata": bookkeeping("metadata"),
    "prompt_cache_key": bookkeeping("prompt_cache_key"),
    "prompt_cache_retention": bookkeeping("prompt_cache_retention"),
    "safety_identifier": bookkeeping("safety_identifier"),
    "service_tier": bookkeeping("service_tier"),
    "store": bookkeeping("store"),
    "user": bookkeeping("user", kept=("nim1", "dynamo")),
}


def test_every_feature_of_the_table_has_its_cells_here_and_its_source():
    assert {feature.name for feature in FIELD_TABLE} == set(CELLS)
    for feature in FIELD_TABLE:
        assert set(feature.mappings) == set(Dialect)
        assert feature.source
        assert feature.date.startswith("20")


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("feature", CELLS)
def test_feature_is_carried_at_its_place_or_refused(feature, dialect):
    fields, expected = CELLS[feature]
    body = {**copy.deepcopy(BASE), **copy.deepcopy(fields)}
    before = copy.deepcopy(body)
    if dialect in expected:
        assert map_fields(body, dialect) == {**BASE, **expected[dialect]}
    else:
        with pytest.raises(InvalidRequestError) as caught:
            map_fields(body, dialect)
        assert feature in str(caught.value)
        assert f"dialect {dialect}" in str(caught.value)
        (top,) = fields
        assert caught.value.field.split(".")[0] == top
        assert ": leave it out" in str(caught.value) or " use " in str(caught.value)
    assert body == before


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="standard fields"),
        pytest.param({"response_format": {"type": "json_object"}}, id="JSON object"),
        pytest.param({"response_format": {"type": "text"}}, id="text"),
        pytest.param({"response_format": None}, id="null format"),
        pytest.param({"seed": 0, "unknown": {"a": 1}}, id="what it does not know"),
    ],
)
def test_other_fields_are_left_alone(fields, dialect):
    assert map_fields({**BASE, **fields}, dialect) == {**BASE, **fields}


@pytest.mark.parametrize("dialect", list(Dialect))
def test_no_tools_are_an_empty_list_but_to_dynamo_which_refuses_one(dialect):
    written = map_fields({**BASE, "tools": []}, dialect)
    assert written == (BASE if dialect is Dialect.DYNAMO else {**BASE, "tools": []})


@pytest.mark.parametrize(
    "fields",
    [{"logit_bias": {}}, {"logit_bias": None}, {"best_of": 1}, {"echo": False}, {"suffix": ""}],
)
def test_what_asks_for_nothing_is_left_out_where_it_would_be_ignored(fields):
    assert map_fields({**BASE, **fields}, Dialect.DYNAMO) == BASE
    assert map_fields({**BASE, **fields}, Dialect.NIM2_VLLM) == {**BASE, **fields}


@pytest.mark.parametrize("dialect", [d for d in Dialect if d is not Dialect.NIM1])
def test_a_schema_without_a_name_gets_one(dialect):
    unnamed = {"type": "json_schema", "json_schema": {"schema": SCHEMA, "strict": True}}
    (sent,) = (map_fields({**BASE, "response_format": unnamed}, dialect)["response_format"],)
    assert sent["json_schema"] == {"name": "response", "schema": SCHEMA, "strict": True}
    own = {"type": "json_schema", "json_schema": {"name": "mine", "schema": SCHEMA}}
    assert map_fields({**BASE, "response_format": own}, dialect)["response_format"] == own


def test_all_tokens_are_minus_one_to_sglang():
    assert map_fields({**BASE, "top_k": 0}, Dialect.NIM2_SGLANG)["top_k"] == -1
    assert map_fields({**BASE, "top_k": 0}, Dialect.NIM2_VLLM)["top_k"] == 0


def test_features_of_a_request_go_to_one_nvext():
    body = {**BASE, "top_k": 1, "repetition_penalty": 2.0, "response_format": FORMAT}
    assert map_fields(body, Dialect.NIM1)["nvext"] == {
        "guided_json": SCHEMA,
        "top_k": 1,
        "repetition_penalty": 2.0,
    }


@pytest.mark.parametrize(
    ("own", "kept"), [({"ignore_eos": True}, {"ignore_eos": True}), (None, {})]
)
def test_nvext_of_the_caller_is_kept_beside_ours(own, kept):
    body = {**BASE, "nvext": own, "top_k": 1}
    assert map_fields(body, Dialect.NIM1)["nvext"] == {**kept, "top_k": 1}
    assert body["nvext"] == own


def test_options_beside_a_constraint_stay_with_it_in_vllm():
    structured = {"regex": "a", "disable_any_whitespace": True}
    body = {**BASE, "structured_outputs": structured}
    assert map_fields(body, Dialect.NIM2_VLLM)["structured_outputs"] == structured
    only = {**BASE, "structured_outputs": {"json_object": True}}
    assert map_fields(only, Dialect.NIM2_VLLM) == only


@pytest.mark.parametrize("dialect", [d for d in Dialect if d is not Dialect.NIM2_VLLM])
def test_options_beside_a_constraint_are_refused_elsewhere(dialect):
    body = {**BASE, "structured_outputs": {"disable_any_whitespace": True}}
    with pytest.raises(InvalidRequestError, match=f"disable_any_whitespace.*{dialect}"):
        map_fields(body, dialect)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
NAMED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
def test_arguments_of_a_forced_call_are_held_to_their_schema_where_vllm_would_not(choice):
    body = {**BASE, "tools": [TOOL], "tool_choice": choice}
    before = copy.deepcopy(body)
    marking = {Dialect.NIM2_VLLM, Dialect.NIM2_SGLANG}
    for dialect in marking:
        (tool,) = map_fields(body, dialect)["tools"]
        assert tool == {"type": "function", "function": {**TOOL["function"], "strict": True}}
        assert body == before
    for dialect in set(Dialect) - marking:
        assert map_fields(body, dialect) == body


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_tools_that_are_not_forced_are_left_alone(choice):
    body = {**BASE, "tools": [TOOL], "tool_choice": choice}
    assert map_fields(body, Dialect.NIM2_VLLM) == body
    assert map_fields(body, Dialect.NIM2_SGLANG) == body


def test_callers_own_word_on_strictness_is_kept():
    tool = {"type": "function", "function": {"name": "f", "strict": False}}
    body = {**BASE, "tools": [tool], "tool_choice": "required"}
    assert map_fields(body, Dialect.NIM2_VLLM)["tools"] == [tool]


@pytest.mark.parametrize("empty", [None, {}])
def test_empty_constraints_are_none(empty):
    for dialect in Dialect:
        assert map_fields({**BASE, "structured_outputs": empty}, dialect) == BASE


NULLS = {
    "structured_outputs": dict.fromkeys(
        ("json", "regex", "choice", "grammar", "json_object", "whitespace_pattern")
    ),
    "nvext": {**dict.fromkeys(FIELD_ALIASES), "greed_sampling": None},
    **dict.fromkeys(FIELD_ALIASES),
}


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"structured_outputs": {"json": SCHEMA}},
        {"structured_outputs": {"choice": ["a", "b"]}},
        {"structured_outputs": {"regex": "a"}},
        {"response_format": FORMAT},
        {"guided_regex": "a", "top_k": 5},
        {"nvext": {"guided_choice": ["a"], "top_k": 5}},
    ],
    ids=repr,
)
@pytest.mark.parametrize("asked", [BASE, {"model": "m", "prompt": "p"}], ids=["chat", "completion"])
def test_null_is_as_if_left_out(asked, fields, dialect):
    body = {**asked, **fields}
    nulls = {
        name: {**null, **fields.get(name, {})} if isinstance(null, dict) else fields.get(name)
        for name, null in NULLS.items()
    }
    with_nulls = {**body, **nulls}
    expected = map_fields(body, dialect, skip_unenforceable=True)
    assert map_fields(with_nulls, dialect, skip_unenforceable=True) == expected


@pytest.mark.parametrize(
    "json_schema", [None, {}, {"name": "a"}, {"schema": None}, "x"], ids=lambda value: repr(value)
)
def test_format_without_a_schema_is_refused_where_it_must_be_moved(json_schema):
    body = {**BASE, "response_format": {"type": "json_schema", "json_schema": json_schema}}
    with pytest.raises(InvalidRequestError, match="holds no `schema`"):
        map_fields(body, Dialect.NIM1)


@pytest.mark.parametrize("dialect", [Dialect.NIM1, Dialect.HOSTED])
@pytest.mark.parametrize("strict", [True, False])
def test_strict_is_taken_off_where_it_is_refused_and_that_is_said_once(dialect, strict, caplog):
    place_module._log_ignored.cache_clear()
    tool = {"type": "function", "function": {"name": "f", "strict": strict}}
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            (sent,) = map_fields({**BASE, "tools": [tool]}, dialect)["tools"]
            assert sent == {"type": "function", "function": {"name": "f"}}
    assert caplog.text.count("tools[].function.strict is not sent") == (1 if strict else 0)


def test_a_dropped_field_is_named_in_the_log_once(caplog):
    place_module._log_ignored.cache_clear()
    for _ in range(3):
        map_fields({**BASE, "store": True}, Dialect.HOSTED)
    assert caplog.text.count("store is not sent: a NIM of dialect hosted") == 1


@pytest.mark.parametrize("dialect", EVERYWHERE)
@pytest.mark.parametrize("where", ["nvext", "top level"])
@pytest.mark.parametrize("name", FIELD_ALIASES)
def test_what_was_written_for_another_generation_is_understood(name, where, dialect):
    """The same result, or the same refusal, as for the form the table starts from."""
    texts = {"guided_regex": "a", "guided_grammar": "a"}
    value = {"guided_json": SCHEMA, "guided_choice": ["a"], **texts}.get(name, 1)
    written = {"nvext": {name: value}} if where == "nvext" else {name: value}
    top, _, inner = FIELD_ALIASES[name].partition(".")
    canonical = {top: {inner: value} if inner else value}

    def outcome(fields):
        try:
            return map_fields({**BASE, **fields}, dialect)
        except InvalidRequestError as error:
            return str(error)

    assert outcome(written) == outcome(canonical)


@pytest.mark.parametrize("dialect", EVERYWHERE)
def test_the_rest_of_nvext_goes_to_those_who_have_one(dialect):
    body = {**BASE, "nvext": {"agent_hints": {"priority": 1}}}
    if dialect in (Dialect.NIM1, Dialect.DYNAMO):
        assert map_fields(body, dialect) == body
    else:
        with pytest.raises(InvalidRequestError, match=r"nvext\.agent_hints"):
            map_fields(body, dialect)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_completions_have_max_tokens_alone(dialect: Dialect) -> None:
    body = {"model": "m", "prompt": "a", "max_completion_tokens": 7}
    assert map_fields(body, dialect) == {"model": "m", "prompt": "a", "max_tokens": 7}


def test_what_contradicts_itself_is_refused():
    body = {**BASE, "top_k": 1, "nvext": {"top_k": 2}}
    with pytest.raises(InvalidRequestError, match="top_k"):
        map_fields(body, Dialect.NIM2_VLLM)
    assert map_fields({**body, "top_k": 2}, Dialect.NIM2_VLLM)["top_k"] == 2
    body = {**BASE, "max_tokens": 5, "max_completion_tokens": 6}
    with pytest.raises(InvalidRequestError, match="max_completion_tokens"):
        map_fields(body, Dialect.NIM1)


def test_nvext_must_be_an_object():
    with pytest.raises(InvalidRequestError, match="nvext: must be an object"):
        map_fields({**BASE, "nvext": "x"}, Dialect.NIM1)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://integrate.api.nvidia.com/v1", True),
        ("https://ai.api.nvidia.com/v1", True),
        ("https://INTEGRATE.api.nvidia.com/v1", True),
        ("http://localhost:8000/v1", False),
        ("https://integrate.api.nvidia.com.evil.example/v1", False),
    ],
)
def test_the_hosted_catalogue_is_known_by_its_host(url, expected):
    assert is_hosted(url) is expected


def test_a_completion_s_schema_goes_where_completions_take_one():
    body = {"model": "m", "prompt": "p", "response_format": FORMAT}
    taken = {
        "nim1": {"nvext": {"guided_json": SCHEMA}},
        "nim2-vllm": {"structured_outputs": {"json": SCHEMA}},
        "nim2-sglang": {"response_format": FORMAT},
        "dynamo": {"guided_json": SCHEMA},
    }
    for dialect in Dialect:
        if dialect in taken:
            expected = {"model": "m", "prompt": "p", **taken[dialect]}
            assert map_fields(body, dialect) == expected
        else:
            with pytest.raises(InvalidRequestError, match="ask for a chat completion"):
                map_fields(body, dialect)
            written = map_fields(body, dialect, skip_unenforceable=True)
            assert written == {"model": "m", "prompt": "p"}


def test_what_will_be_checked_may_go_unenforced():
    for kind, value in (("regex", "a"), ("choice", ["a"])):
        body = {**BASE, "structured_outputs": {kind: value}}
        assert map_fields(body, Dialect.HOSTED, skip_unenforceable=True) == BASE
        enforced = map_fields(body, Dialect.DYNAMO)
        assert map_fields(body, Dialect.DYNAMO, skip_unenforceable=True) == enforced
    body = {**BASE, "structured_outputs": {"grammar": "x"}}
    with pytest.raises(InvalidRequestError, match="grammar"):
        map_fields(body, Dialect.HOSTED, skip_unenforceable=True)
