"""Convert response formats: JSON schemas and grammars."""

import functools
import json
import re

from ..nim.errors import invalid
from ..nim.json_types import JSONObject
from .native_types import ResponseFormat

# Keys under which people put a grammar's text into the untyped `bnf` dict.
_GRAMMAR_KEYS = ("grammar", "bnf", "ebnf", "gbnf", "lark", "text")


def convert_response_format(response_format: ResponseFormat | None) -> JSONObject:
    """Convert a native response format to request fields, in the form of OpenAI and vLLM.

    Returns:
        ``response_format``, or ``structured_outputs`` for a grammar; nothing for no format.

    Raises:
        InvalidRequestError: The schema is not a JSON schema, or the grammar has no rules.
    """
    if response_format is None:
        return {}
    if response_format.type == "json_schema":
        schema = response_format.json_schema
        check_schema(schema, "response_format.json_schema")
        named = {"name": _schema_name(schema), "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    text = grammar_text(response_format.bnf, "response_format.bnf")
    return {"structured_outputs": {"grammar": text}}


def check_schema(schema: object, field: str) -> None:
    """Validate a JSON schema, so that a wrong one is refused here and not by an engine later.

    Raises:
        InvalidRequestError: It is not; the text says where and why.
    """
    if not isinstance(schema, dict) or not schema:
        raise invalid(field, "must be a JSON schema: an object such as {'type': 'object', ...}")
    if isinstance(schema.get("schema"), dict) and "name" in schema and "type" not in schema:
        raise invalid(field, "must be the JSON schema itself, which stands here under `schema`")
    try:
        text = json.dumps(schema, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(field, f"cannot be sent as JSON: {error}") from error
    if problem := _schema_problem(text):
        raise invalid(field, f"is not a JSON schema: {problem}")


@functools.lru_cache(maxsize=128)
def _schema_problem(text: str) -> str | None:
    # Imported here: most requests have no schema, and the import costs more than a request.
    from jsonschema import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    schema = json.loads(text)
    if not isinstance(schema.get("$schema", ""), str):
        return "$.$schema: must be a string"
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return f"{error.json_path}: {error.message}"
    except RecursionError:
        return "it nests too deeply"
    except (ValueError, OverflowError) as error:  # an address or a pattern that cannot be read
        return str(error)
    return None


def _schema_name(schema: JSONObject) -> str:
    """Return a name as OpenAI's API wants one, from the schema's title."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", str(schema.get("title") or "response"))[:64]


def grammar_text(bnf: object, field: str) -> str:
    """Return the text of a grammar, from the protocol's untyped dict.

    Args:
        bnf: Either the whole text under one key (``grammar``, ``bnf``, ``ebnf``, ``gbnf``,
            ``lark`` or ``text``), or a rule per key, each a string or a list of alternatives.
        field: Where it stands in the request, for the error.
    """
    if not isinstance(bnf, dict) or not bnf:
        raise invalid(field, "must hold a grammar: {'grammar': 'root ::= ...'}")
    rules = {key: value for key, value in bnf.items() if key != "type"}
    if "root" not in rules:
        for key in _GRAMMAR_KEYS:
            if isinstance(rules.get(key), str) and rules[key].strip():
                if beside := [str(other) for other in rules if other != key]:
                    raise invalid(
                        field, f"holds {', '.join(beside)} beside the grammar under `{key}`"
                    )
                return str(rules[key])
        raise invalid(field, "has neither a grammar's text under `grammar` nor a rule named `root`")
    lines = []
    for name, body in rules.items():
        alternatives = body if isinstance(body, list) else [body]
        if not alternatives or not all(
            isinstance(part, str) and part.strip() for part in alternatives
        ):
            raise invalid(f"{field}.{name}", "must be the rule's text, or a list of alternatives")
        lines.append(f"{name} ::= {' | '.join(alternatives)}")
    return "\n".join(lines)
