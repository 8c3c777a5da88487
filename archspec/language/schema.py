"""Models → JSON Schema of the language, from which editors complete ops and their parameters.

The schema is that of `language.models`, with the ops of the layers among an item's keys. It is
generous where an editor cannot know (names, what an expression gives): `archspec check` has the
last word.
"""

from __future__ import annotations

from typing import Any

from archspec.language import fillers
from archspec.language.arguments import BESIDE
from archspec.language.models import Item, Spec
from archspec.language.names import BLOCK
from archspec.layers import REGISTRY

Schema = dict[str, Any]

_CALL: Schema = {
    "description": "a block call",
    "propertyNames": {"not": {"enum": sorted(BESIDE)}},
}
# What some keys of an item ask for beside them.
_TOGETHER: Schema = {
    "merge": {"anyOf": [{"required": ["residual"]}, {"required": ["branches"]}]},
    "shortcut": ["residual"],
    "shortcut_when": ["residual"],
    "branches": ["merge"],
    "with": ["call"],
}


def schema() -> Schema:
    """The JSON Schema (draft 7, which editors know) of a spec file."""
    found: Schema = untitled(Spec.model_json_schema(ref_template="#/definitions/{model}"))
    definitions = found.pop("$defs") | fillers.schema(_ops())
    found["properties"]["init"] = {"anyOf": [_ref("init"), {"type": "null"}]}
    definitions["Item"] = {"anyOf": [_word(), _mapping()]}
    definitions["expression"] = {"type": "string", "pattern": r"^\$"}
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "archspec, version 1"}
    return {**head, **found, "definitions": definitions}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def untitled(found: Any) -> Any:
    """Without titles, which say the keys once more."""
    if isinstance(found, list):
        return [untitled(entry) for entry in found]
    if not isinstance(found, dict):
        return found
    kept = {k: v for k, v in found.items() if k != "title" or not isinstance(v, str)}
    return {key: untitled(value) for key, value in kept.items()}


def _word() -> Schema:
    """A bare word: an op that needs no parameters, or a block."""
    bare = sorted(op for op in _ops() if not REGISTRY[op].model_json_schema().get("required"))
    return {"anyOf": [{"enum": bare}, {"type": "string", "pattern": BLOCK}]}


def _mapping() -> Schema:
    """An operation and what stands beside it."""
    found: Schema = untitled(Item.model_json_schema(ref_template="#/definitions/{model}"))
    keys = found["$defs"]["Item"]["properties"]
    keys["init"] = {"anyOf": [_ref("fillers"), _ref("init"), {"type": "null"}]}
    body = keys["body"]
    for key, text in (("body", "a group"), ("residual", "merged with its shortcut")):
        keys[key] = {**body, "description": text}
    keys["sequential"] = {**body, "description": "a group whose items are numbered"}
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": keys | {op: _op(op) for op in _ops()},
        "patternProperties": {BLOCK: _CALL},
        "dependencies": _TOGETHER,
    }


def _op(op: str) -> Schema:
    """An op's value: nothing, its main parameter, a mapping; of a merge also a list of inputs."""
    layer = REGISTRY[op]
    given = layer.model_json_schema()  # its parameters, without expressions
    fields = {name: _or_expression(field) for name, field in given["properties"].items()}
    choices: list[Schema] = [{**given, "properties": fields}]
    main = layer.main()
    needed = set(given.get("required", ()))
    if main is not None and needed <= {main}:
        choices.append(fields[main])
    choices += [fields[name] for name in dict.fromkeys(layer.bare.values())]
    if not needed:
        choices.append({"type": "null"})
    if layer.takes == ("*",):
        choices.append({"type": "array", "items": {"type": "string"}, "minItems": 1})
        choices.append({"type": "string", "pattern": r"\*"})
    doc = (layer.__doc__ or "").strip().partition("\n")[0]
    return {"description": doc, "anyOf": choices}


def _or_expression(found: Schema) -> Schema:
    """A value of the schema, an expression in its place or in that of any entry."""
    if found.get("type") == "array" and "items" in found:
        found = {**found, "items": _or_expression(found["items"])}
    choices = [_or_expression(choice) for choice in found.get("anyOf", ())]
    if choices:
        return {**found, "anyOf": [*choices, _ref("expression")]}
    return {"anyOf": [found, _ref("expression")]}


def _ops() -> list[str]:
    return sorted(op for op in REGISTRY if not op.startswith("_"))
