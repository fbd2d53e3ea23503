"""Builds instances of JSON schemas: objects, arrays and the branches between them."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Container, Iterator
from typing import Any

import referencing
from jsonschema.protocols import Validator
from referencing.jsonschema import DRAFT202012

from .hints import Hints, UnsatisfiableError, mentioned
from .regex import text_for_pattern
from .scalars import Scalars
from .schema_merge import Schema, merge

_STEPS = 4000
_DEPTH = 36
_KEYWORDS_OF = {
    "object": {"properties", "required", "additionalProperties", "patternProperties",
               "minProperties", "maxProperties", "propertyNames", "dependentRequired",
               "dependentSchemas", "unevaluatedProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains",
              "unevaluatedItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}  # fmt: skip
_TYPES = ("string", "object", "array", "number", "integer", "boolean", "null")


class ExhaustedError(Exception):
    """An attempt took too many steps."""


class Builder:
    """One attempt at an instance.

    The first attempts fill in optional parts near the root, as a model would; later ones keep
    to what is required and draw at random.

    Args:
        validator: Judges instances of the root schema and of its parts.
        hints: Values of the user's text.
        rng: Decides where several values fit.
        attempt: Number of the attempt, from 0.
        optional: Fill in optional properties too.
    """

    def __init__(
        self,
        validator: Validator,
        hints: Hints,
        rng: random.Random,
        attempt: int,
        *,
        optional: bool,
    ) -> None:
        self._validator = validator
        self._hints = hints
        self._dice = rng
        self._attempt = attempt
        self._optional = optional
        self._steps = _STEPS
        self._scalars = Scalars(hints, rng)
        root = validator.schema if isinstance(validator.schema, dict) else {}
        resource = referencing.Resource.from_contents(root, default_specification=DRAFT202012)
        uri = resource.id() or ""
        self._resolver = referencing.Registry().with_resource(uri, resource).resolver(uri)

    def _valid(self, schema: Schema, instance: Any) -> bool:
        return self._validator.evolve(schema=schema).is_valid(instance)

    def build(self, schema: Schema, depth: int, avoid: Container[str] = ()) -> Any:
        """Return an instance of a part of the schema.

        Args:
            schema: The part.
            depth: Number of builds above this one.
            avoid: Instances that are not wanted, as :func:`_identity` writes them.

        Raises:
            UnsatisfiableError: Nothing was found for this part; another branch may do.
            ExhaustedError: The attempt as a whole took too long.
        """
        for candidate in self._candidates(schema, depth):
            if self._valid(schema, candidate) and _identity(candidate) not in avoid:
                return candidate
        raise UnsatisfiableError("no value fits a part of the schema")

    def _candidates(self, schema: Schema, depth: int) -> Iterator[Any]:
        """Return proposals for a schema, the most fitting first."""
        self._steps -= 1
        if self._steps < 0 or depth > _DEPTH:
            raise ExhaustedError("the schema is too deep or has too many branches")
        if isinstance(schema, bool):
            return self._typed({}, depth) if schema else iter(())
        if "$ref" in schema or "$dynamicRef" in schema:
            return self._referenced(schema, depth)
        if "const" in schema:
            return iter([schema["const"]])
        if "enum" in schema:
            return self._enumerated(schema["enum"])
        # allOf last: merging may have put a second anyOf there.
        for applicator in ("anyOf", "oneOf"):
            if applicator in schema:
                return self._branched(schema, applicator, depth)
        if "allOf" in schema:
            merged: Schema = _without(schema, "allOf")
            for part in schema["allOf"]:
                merged = merge(merged, part)
            return self._candidates(merged, depth + 1)
        if "if" in schema:
            return self._conditional(schema, depth)
        return self._typed(schema, depth)

    def _referenced(self, schema: dict[str, Any], depth: int) -> Iterator[Any]:
        # Definitions are looked up in the root; carrying them along would only cost time.
        rest = _without(schema, "$ref", "$dynamicRef", "$defs", "definitions")
        reference = schema.get("$ref", schema.get("$dynamicRef"))
        target: Schema = self._resolver.lookup(str(reference)).contents
        return self._candidates(merge(rest, target), depth + 1)

    def _enumerated(self, options: list[Any]) -> Iterator[Any]:
        said = mentioned(options, self._hints)
        if said is not None:
            yield said
        if self._attempt > 1:
            options = self._dice.sample(options, len(options))
        yield from options

    def _branched(self, schema: dict[str, Any], applicator: str, depth: int) -> Iterator[Any]:
        rest = _without(schema, applicator)
        branches = list(schema[applicator])
        # At some depth the short branches must end the recursion.
        branches.sort(key=lambda branch: _weight(branch) if depth > 2 else _is_null(branch))
        if self._attempt > 3:
            self._dice.shuffle(branches)
        for branch in branches:
            try:
                yield from self._candidates(merge(rest, branch), depth + 1)
            except UnsatisfiableError:
                continue

    def _conditional(self, schema: dict[str, Any], depth: int) -> Iterator[Any]:
        rest = _without(schema, "if", "then", "else")
        positive = merge(merge(rest, schema["if"]), schema.get("then", True))
        negative = merge(rest, schema.get("else", True))
        for branch in (positive, negative):
            try:
                yield from self._candidates(branch, depth + 1)
            except UnsatisfiableError:
                continue

    def _typed(self, schema: dict[str, Any], depth: int) -> Iterator[Any]:
        given = schema.get("type")
        if given is None:
            # No type: the keywords tell what the author had in mind.
            keys = schema.keys()
            types = [name for name, words in _KEYWORDS_OF.items() if words & keys]
            types += [name for name in _TYPES if name not in types]
        else:
            types = [given] if isinstance(given, str) else list(given)
            types.sort(key=lambda name: name == "null")
        if self._attempt > 5:
            self._dice.shuffle(types)
        for name in types:
            try:
                yield from self._of_type(name, schema, depth)
            except UnsatisfiableError:
                continue

    def _of_type(self, name: str, schema: dict[str, Any], depth: int) -> Iterator[Any]:
        if name == "null":
            yield None
        elif name == "boolean":
            yield from self._dice.sample((True, False), 2) if self._attempt > 1 else (True, False)
        elif name == "string":
            yield from self._scalars.strings(schema, plain=self._attempt < 2)
        elif name in ("integer", "number"):
            yield from self._scalars.numbers(
                schema, whole=name == "integer", plain=self._attempt < 2
            )
        elif name == "array":
            yield self._array(schema, depth)
        else:
            yield self._object(schema, depth)

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        prefix = list(schema.get("prefixItems", ()))
        items = schema.get("items", True)
        if isinstance(items, list):  # drafts before 2020-12
            prefix, items = items, schema.get("additionalItems", True)
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", 10_000))
        contains = int(schema.get("minContains", 1)) if "contains" in schema else 0
        wanted = max(least, contains)
        if self._attempt < 2 and depth < 3:
            # A list of what the text names, else one item: an empty list says nothing.
            wanted = max(wanted, len(prefix), min(self._offered(items), 5), 1)
        if items is False:
            wanted = min(wanted, len(prefix))
        if self._attempt > 5:
            wanted = self._dice.randint(wanted, wanted + 3)
        found: list[Any] = []
        for index in range(min(wanted, most)):
            part = prefix[index] if index < len(prefix) else items
            if index >= wanted - contains:
                part = merge(part, schema["contains"])
            try:
                found.append(
                    self._another(part, found, depth, unique=bool(schema.get("uniqueItems")))
                )
            except UnsatisfiableError:
                if len(found) < least:
                    raise
                break
        return found

    def _offered(self, items: Schema) -> int:
        """Return how many values for the items of a list the user's text offers."""
        kind = items.get("type") if isinstance(items, dict) else None
        if kind in ("integer", "number"):
            return len(self._hints.numbers)
        return len(self._hints.names) if kind == "string" else 0

    def _another(self, schema: Schema, found: list[Any], depth: int, *, unique: bool) -> Any:
        if not unique:
            return self.build(schema, depth + 1)
        before, attempt = {_identity(item) for item in found}, self._attempt
        try:
            for extra in range(12):
                self._attempt = attempt + extra
                with contextlib.suppress(UnsatisfiableError):
                    return self.build(schema, depth + 1, before)
        finally:
            self._attempt = attempt
        raise UnsatisfiableError("no further item that differs from the others was found")

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        known: dict[str, Schema] = schema.get("properties", {})
        names = list(schema.get("required", ()))
        most = int(schema.get("maxProperties", 10_000))
        optional = [name for name in known if name not in names]
        fill = self._optional and self._attempt < 3 and depth < (3 if self._attempt < 2 else 1)
        found: dict[str, Any] = {}
        dependent: dict[str, list[str]] = schema.get("dependentRequired", {})
        while names:
            name = names.pop(0)
            if name not in found:
                found[name] = self.build(self._property_schema(schema, name), depth + 1)
                names += dependent.get(name, [])
        least = int(schema.get("minProperties", 0))
        if least > self._steps:
            raise ExhaustedError("the schema asks for too many properties")
        for name in optional:
            wanted = fill or len(found) < least or self._mentions(known[name])
            if name in found or len(found) >= most or not wanted:
                continue
            try:
                found[name] = self.build(self._property_schema(schema, name), depth + 1)
            except UnsatisfiableError:
                continue
        self._invent(schema, found, least, depth)
        # Keep the order of the schema: models write properties in that order.
        return {name: found[name] for name in [*known, *found] if name in found}

    def _mentions(self, schema: Schema) -> bool:
        """Return whether the user's text names one of the values of an enumeration."""
        options = schema.get("enum", []) if isinstance(schema, dict) else []
        return mentioned(options, self._hints) is not None

    def _invent(
        self, schema: dict[str, Any], found: dict[str, Any], least: int, depth: int
    ) -> None:
        """Add properties that the schema does not name, up to ``least``."""
        patterns = list(schema.get("patternProperties", ()))
        names = schema.get("propertyNames", True)
        for _ in range(40 * least):
            if len(found) >= least:
                return
            if patterns:
                name = text_for_pattern(self._dice.choice(patterns), self._dice)
            elif names is True:
                name = f"key{len(found) + 1}"
            else:
                name = self.build(merge({"type": "string"}, names), depth + 1)
            if name in found:
                name = f"{name}{self._dice.randint(0, 9_999)}"
            try:
                found[name] = self.build(self._property_schema(schema, name), depth + 1)
            except UnsatisfiableError:
                continue

    def _property_schema(self, schema: dict[str, Any], name: str) -> Schema:
        """Return all that a schema says about one property."""
        result: Schema | None = schema.get("properties", {}).get(name)
        for pattern, part in schema.get("patternProperties", {}).items():
            if self._valid({"type": "string", "pattern": pattern}, name):
                result = part if result is None else merge(result, part)
        return schema.get("additionalProperties", True) if result is None else result


def _without(schema: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in keys}


def _identity(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _weight(schema: Schema) -> int:
    """Return how far a branch leads: leaves first, references last."""
    if not isinstance(schema, dict):
        return 0
    if "$ref" in schema or "$dynamicRef" in schema:
        return 1000
    return len(json.dumps(schema))


def _is_null(schema: Schema) -> int:
    return int(isinstance(schema, dict) and schema.get("type") == "null")
