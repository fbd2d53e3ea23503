import pytest
from llama_stack.apis.inference import ToolChoice
from llama_stack.models.llama.datatypes import BuiltinTool

from llama_stack_provider_nvidia import stack
from llama_stack_provider_nvidia.convert import convert_tool_definition
from llama_stack_provider_nvidia.convert.tools import convert_tools
from llama_stack_provider_nvidia.nim.errors import InvalidRequestError


def definition(name="get_weather", description=None, **parameters):
    return DEFINITION(
        tool_name=name,
        description=description,
        parameters={key: {"param_type": "string", **value} for key, value in parameters.items()},
    )


DEFINITION = stack.ChatCompletionRequest.model_fields["tools"].annotation.__args__[0].__args__[0]


def parameters_of(tool):
    return convert_tool_definition(tool)["function"]["parameters"]


def config(choice=None, **fields):
    return stack.ToolConfig(tool_choice=choice, **fields)


def test_definition_becomes_a_function_tool():
    tool = definition("get_weather", "Weather now", city={"description": "Where"})
    assert convert_tool_definition(tool) == {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather now",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "Where"}},
                "required": ["city"],
            },
        },
    }


@pytest.mark.parametrize("parameters", [None, {}], ids=["none", "empty"])
def test_tool_without_parameters_takes_an_empty_object(parameters):
    tool = DEFINITION(tool_name="now", parameters=parameters)
    assert convert_tool_definition(tool)["function"] == {
        "name": "now",
        "parameters": {"type": "object", "properties": {}},
    }


@pytest.mark.parametrize(
    "default", [0, False, "", [], {}, 0.0, "C", 5], ids=lambda value: repr(value)
)
def test_default_is_sent_even_if_it_is_falsy(default):
    schema = parameters_of(definition(x={"required": False, "default": default}))
    assert schema["properties"]["x"]["default"] == default


def test_default_that_was_not_given_is_not_sent():
    assert "default" not in parameters_of(definition(x={}))["properties"]["x"]


@pytest.mark.parametrize("required", [False, None], ids=["false", "null"])
def test_optional_parameters_leave_required_out(required):
    assert "required" not in parameters_of(definition(x={"required": required}))


def test_required_names_only_the_required_parameters():
    schema = parameters_of(definition(a={}, b={"required": False}, c={}))
    assert schema["required"] == ["a", "c"]


def test_description_stands_beside_a_schema_that_has_its_own():
    own = '{"type": "string", "enum": ["C", "F"], "description": "unit"}'
    schema = parameters_of(definition(u={"param_type": own, "description": "Unit of the answer"}))
    assert schema["properties"]["u"] == {
        "type": "string",
        "enum": ["C", "F"],
        "description": "Unit of the answer",
    }


def test_bad_parameter_type_names_tool_and_parameter():
    with pytest.raises(InvalidRequestError) as caught:
        convert_tools([definition(), definition("b", x={"param_type": "banana"})], None)
    assert caught.value.field == "tools[1].parameters['x'].param_type"


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("brave_search", "query"),
        ("wolfram_alpha", "query"),
        ("photogen", "query"),
        ("code_interpreter", "code"),
    ],
)
def test_builtin_tool_goes_by_its_value_and_has_its_known_parameter(name, parameter):
    tool = DEFINITION(tool_name=BuiltinTool(name))
    assert convert_tool_definition(tool)["function"] == {
        "name": name,
        "parameters": {
            "type": "object",
            "properties": {parameter: {"type": "string"}},
            "required": [parameter],
        },
    }


def test_builtin_tool_keeps_parameters_of_its_own():
    schema = parameters_of(definition(BuiltinTool.brave_search, count={"param_type": "int"}))
    assert list(schema["properties"]) == ["count"]


def test_tool_without_a_name_is_refused():
    with pytest.raises(InvalidRequestError, match=r"tools\[0\]\.tool_name: is empty"):
        convert_tools([definition("")], None)


def test_two_tools_of_one_name_are_refused():
    with pytest.raises(InvalidRequestError, match=r"tools\[1\]\.tool_name.*'a' stands twice"):
        convert_tools([definition("a"), definition("a")], None)


@pytest.mark.parametrize(
    ("tool_config", "expected"),
    [
        pytest.param(None, "auto", id="no config"),
        pytest.param(config(None), "auto", id="none given"),
        pytest.param(stack.ToolConfig(), "auto", id="default"),
        pytest.param(config(ToolChoice.auto), "auto", id="auto"),
        pytest.param(config(ToolChoice.required), "required", id="required"),
        pytest.param(config(ToolChoice.none), "none", id="none"),
        pytest.param(config("required"), "required", id="required as text"),
        pytest.param(
            config("get_weather"),
            {"type": "function", "function": {"name": "get_weather"}},
            id="a named tool",
        ),
    ],
)
def test_choice_goes_with_the_tools(tool_config, expected):
    converted = convert_tools([definition()], tool_config)
    assert converted["tool_choice"] == expected
    assert len(converted["tools"]) == 1


def test_builtin_tool_can_be_chosen_by_name():
    chosen = convert_tools([DEFINITION(tool_name="brave_search")], config("brave_search"))
    assert chosen["tool_choice"]["function"]["name"] == "brave_search"


@pytest.mark.parametrize("tools", [None, []], ids=["none", "empty"])
@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_neither_tools_nor_choice_are_sent_without_tools(tools, choice):
    assert convert_tools(tools, config(choice)) == {}
    assert convert_tools(tools, None) == {}


@pytest.mark.parametrize("choice", ["required", "get_weather"])
def test_choice_that_demands_a_tool_is_refused_without_tools(choice):
    with pytest.raises(InvalidRequestError, match=f"`{choice}`, but there are no tools"):
        convert_tools([], config(choice))


def test_chosen_tool_that_does_not_exist_is_refused():
    with pytest.raises(InvalidRequestError, match="'get_time' is none of the tools get_weather"):
        convert_tools([definition()], config("get_time"))


def test_replacing_the_system_message_is_refused_with_tools():
    replace = config(system_message_behavior=stack.SystemMessageBehavior.replace)
    with pytest.raises(InvalidRequestError, match=r"chat template.*`append`"):
        convert_tools([definition()], replace)
    assert convert_tools([], replace) == {}
