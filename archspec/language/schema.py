"""Layers → JSON Schema of the language, from which editors complete ops and their parameters.

The schema is generous where an editor cannot know (expressions, blocks' params): `archspec check`
has the last word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archspec.layers.base import Layer

Schema = dict[str, Any]

_EXPRESSION: Schema = {"type": "string", "pattern": r"^\$", "description": "an expression"}
_BLOCK = "^[A-Z][A-Za-z0-9]*$"
_NAME = "^[A-Za-z_][A-Za-z0-9_]*$"
_PARAM = "^[a-z][a-z0-9_]*$"


def schema() -> Schema:
    """The JSON Schema (draft 7, which editors know) of a spec file."""
    from archspec.layers import REGISTRY

    ops = {name: layer for name, layer in REGISTRY.items() if not name.startswith("_")}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "archspec, version 1",
        "type": "object",
        "required": ["spec", "name", "input"],
        "additionalProperties": False,
        "properties": _document(),
        "definitions": {
            "value": {"description": "a number, text, boolean, list, or an expression"},
            "expression": _EXPRESSION,
            "path": {"anyOf": [_ref("item"), {"type": "array", "items": _ref("item")}]},
            "item": {"anyOf": [_word(ops), _mapping(ops)]},
            "block": _block(),
            "outputs": _outputs(),
            "filler": _filler(),
        },
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _says(text: str, **rest: Any) -> Schema:
    return {"description": text, **rest}


def _or_expression(found: Schema) -> Schema:
    """A value of the schema, an expression in its place or in that of any entry."""
    if found.get("type") == "array" and "items" in found:
        found = {**found, "items": _or_expression(found["items"])}
    choices = [_or_expression(choice) for choice in found.get("anyOf", ())]
    if choices:
        return {**found, "anyOf": [*choices, _ref("expression")]}
    return {"anyOf": [found, _ref("expression")]}


def _document() -> Schema:
    params = {"type": "object", "propertyNames": {"pattern": _PARAM}}
    shape = {"type": "array", "minItems": 1}
    return {
        "spec": _says("version of the language", const=1),
        "name": _says(
            "identifier; names the file, the class and the diagram", pattern=_NAME, type="string"
        ),
        "title": _says("one line: what it is", type="string"),
        "cite": _says("one line: the paper", type="string"),
        "params": _says("named values with defaults, set from outside", **params),
        "variants": _says("named sets of params", type="object", additionalProperties=params),
        "input": _says(
            "[3, 224, 224], or several by name; the batch axis is never written",
            anyOf=[shape, {"type": "object", "propertyNames": {"pattern": _NAME}}],
        ),
        "use": _says(
            "other spec files taken in as blocks",
            type="object",
            propertyNames={"pattern": _BLOCK},
            additionalProperties={"anyOf": [{"type": "string"}, _use()]},
        ),
        "blocks": _says(
            "reusable parts",
            type="object",
            propertyNames={"pattern": _BLOCK},
            additionalProperties=_ref("block"),
        ),
        "body": _says("the network, read top to bottom", **_ref_in("path")),
        "sequential": _says("the network, its items numbered 0, 1, 2 …", **_ref_in("path")),
        "outputs": _says("outputs by name; default: the last item", **_ref_in("outputs")),
        "head": _says(
            "where a weight that does not fit is started afresh",
            anyOf=[{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        ),
        "init": _says(
            "weight initialisation by op", type="object", additionalProperties=_ref("filler")
        ),
        "weights": _says("where published weights come from", **_weights()),
        "expect": _says("totals to check, by variant", type="object"),
    }


def _ref_in(name: str) -> Schema:
    """A reference beside a description: draft 7 ignores what stands beside a bare `$ref`."""
    return {"allOf": [_ref(name)]}


def _weights() -> Schema:
    """Sources by themselves or by variant, and the table of renames."""
    from archspec.language.weights import ENTRY, FILE, SOURCES

    text: Schema = {"type": "string"}
    file: Schema = {
        "type": "object",
        "required": ["sha256"],
        "additionalProperties": False,
        "properties": dict.fromkeys(FILE, text),
    }
    one = {"torchvision": text, "timm": text, "file": file}
    names: Schema = {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}
    whole: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    kinds = {
        "from": names, "axis": {"type": "integer", "minimum": 0}, "part": whole, "order": whole,
        "reshape": {"type": "boolean"},
    }  # fmt: skip
    entry: Schema = {
        "type": "object",
        "required": ["from"],
        "additionalProperties": False,
        "properties": {key: kinds[key] for key in ENTRY},
    }
    table = {"type": "object", "additionalProperties": {"anyOf": [*names["anyOf"], entry]}}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **{
                key: {"anyOf": [one[key], {"type": "object", "additionalProperties": one[key]}]}
                for key in SOURCES
            },
            "rename": _says("a name here: what it is in the source", **table),
        },
    }


def _use() -> Schema:
    return {
        "type": "object",
        "required": ["file"],
        "additionalProperties": False,
        "properties": {
            "file": {"type": "string"},
            "variant": {"type": "string"},
            "outputs": _ref("outputs"),
        },
    }


def _block() -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "params": _says("named values; `required` has no default", type="object"),
            "inputs": _says("names of its inputs", type="array", items={"type": "string"}),
            "body": _ref("path"),
            "sequential": _ref("path"),
            "outputs": _ref("outputs"),
            "note": {"type": "string"},
        },
    }


def _outputs() -> Schema:
    path = {"type": "string"}
    several = {"type": "array", "items": path}
    return {"type": "object", "additionalProperties": {"anyOf": [path, several]}}


def _filler() -> Schema:
    """What `init` takes for an op: a filler, or one for each of its weights."""
    from archspec.language.fillers import FILLERS, WEIGHTS

    args = {
        name: {
            "type": "object",
            "properties": {key: {} for key in params},
            "additionalProperties": False,
        }
        for name, (params, _) in FILLERS.items()
    }
    one: Schema = {
        "anyOf": [
            {"enum": list(FILLERS)},
            {"type": "number"},
            _ref("expression"),
            {
                "type": "object",
                "maxProperties": 1,
                "additionalProperties": False,
                "properties": {
                    name: {
                        "anyOf": [given, {"type": "number"}, _ref("expression"), {"type": "null"}]
                    }
                    for name, given in args.items()
                },
            },
        ]
    }
    weights: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": dict.fromkeys(WEIGHTS, one),
    }
    return {
        "description": "a torch.nn.init name or mapping, a number, or {weight: …, bias: …}",
        "anyOf": [one, weights, {"type": "object", "propertyNames": {"pattern": _PARAM}}],
    }


def _word(ops: dict[str, type[Layer]]) -> Schema:
    """A bare word: an op that needs no parameters, or a block."""
    bare = sorted(
        name for name, layer in ops.items() if not layer.model_json_schema().get("required")
    )
    return {"anyOf": [{"enum": bare}, {"type": "string", "pattern": _BLOCK}]}


def _mapping(ops: dict[str, type[Layer]]) -> Schema:
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            **_modifiers(),
            **_structure(),
            **{name: _op(layer) for name, layer in sorted(ops.items())},
        },
        "patternProperties": {_BLOCK: _says("a block call")},
    }


def _op(layer: type[Layer]) -> Schema:
    """An op's value: nothing, its main parameter, a mapping; of a merge also a list of inputs."""
    given = layer.model_json_schema()
    fields: dict[str, Schema] = given["properties"]
    mapping = {
        **given,
        "properties": {name: _or_expression(field) for name, field in fields.items()},
    }
    choices: list[Schema] = [mapping]
    main = layer.main()
    if main is not None:
        choices.append(_or_expression(fields[main]))
    choices += [_or_expression(fields[name]) for name in dict.fromkeys(layer.bare.values())]
    choices.append({"type": "null"})
    if layer.takes == ("*",):
        choices.append({"type": "array", "items": {"type": "string"}})
    doc = (layer.__doc__ or "").strip().partition("\n")[0]
    return {"description": doc, "anyOf": choices}


def _modifiers() -> Schema:
    condition = _or_expression({"type": "boolean"})
    return {
        "id": _says("names the item", type="string"),
        "from": _says("inputs other than the previous item"),
        "repeat": _says(
            "copies: a number, or columns in step",
            anyOf=[{"type": "integer", "minimum": 0}, _ref("expression"), {"type": "object"}],
        ),
        "when": _says("if false, the item is not there", **condition),
        "shortcut_when": _says("if false, the residual has no shortcut at all", **condition),
        "tap": _says(
            "computed beside the line, in training only or always", enum=["train", "always"]
        ),
        "expect": _says("the output shape; ~ is any size", type="array"),
        "freeze": _says("its weights are not trained", **condition),
        "init": _says("weight initialisation", **_ref_in("filler")),
        "note": _says("a remark", type="string"),
    }


def _structure() -> Schema:
    paths = [
        {"type": "object", "additionalProperties": _ref("path")},
        {"type": "array", "items": _ref("path")},
    ]
    return {
        "body": _says("a group", **_ref_in("path")),
        "sequential": _says("a group whose items are numbered", **_ref_in("path")),
        "branches": _says("the same input into each path", anyOf=paths),
        "merge": _says("how paths join", enum=["concat", "add", "mul", "mean", "max"]),
        "residual": _says("merged with its shortcut", **_ref_in("path")),
        "shortcut": _says("the other path of a residual; missing = identity", **_ref_in("path")),
        "shared": _says("an earlier item once more, with the same weights", type="string"),
    }
