"""One value as written → checked value: the types of what models hold.

A type says what it takes, for `archspec schema`, and refuses the rest (refusals.py).

    from: [enc$i, prev]    →  (Ref(path=Template("enc$i")), Ref(path=Template("prev")))
    title: 3               →  kind: text, help: put it in quotes
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    GetPydanticSchema,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import CoreSchema, PydanticKnownError
from pydantic_core.core_schema import any_schema

from archspec.expressions import Expr, Template, scalar, template
from archspec.language.names import (
    BLOCK,
    PARAM,
    bad_axis,
    bad_id,
    bad_output,
    bad_param,
    is_block,
    is_path,
    is_pattern,
    other_id,
)
from archspec.language.refusals import (
    Faults,
    Steps,
    broken,
    expressed,
    named,
    refuse,
    wrong_kind,
)
from archspec.language.values import REQUIRED, Axis, Part, Ref, Repeat, Value
from archspec.layers import REGISTRY
from archspec.text.faults import Loc
from archspec.text.words import cut, near, written

Expression = Annotated[str, Field(pattern=r"^\$[^$]", description="an expression")]

_MOST_COPIES = 10**9
_MOST_AXES = 8
_SHAPE = "for example `[3, 224, 224]`"
_OUTPUT = "for example `[256, ~, ~]`"


class Located(NamedTuple):
    """What is written at a place of the file."""

    node: Any
    path: Steps


# Of a field that no file says: nothing is built to check it.
_UNCHECKED = GetPydanticSchema(lambda _, read: any_schema())
OURS: tuple[Any, ...] = (_UNCHECKED, SkipJsonSchema())  # type: ignore[type-arg]


@dataclass(frozen=True)
class Spelt:
    """Says in the JSON schema how else a value may be spelt."""

    spell: Callable[[dict[str, Any]], dict[str, Any]]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.spell(handler(core))


class Form(BaseModel):
    """Base of all models: a mapping with known keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True
    )
    wanted: ClassVar[str] = "a mapping"  # in a complaint
    help: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, node: Any, info: ValidationInfo[Any]) -> Any:
        return cls.spelt_out(node, (), info.context)

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Any) -> dict[str, Any]:
        """The mapping that what is written stands for."""
        if not isinstance(node, dict):
            raise wrong_kind(cls.wanted, cls.help)
        return node


class Placed(Form, Part):
    """A model that knows its place; it is told apart by identity. Read from a `Located`.

    Aliases that begin with NUL are for what no file says: YAML holds none.
    """

    loc: Annotated[Loc, *OURS] = Field(alias="\0loc")

    __eq__ = object.__eq__

    def __hash__(self) -> int:
        return id(self)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, node: Any, info: ValidationInfo[Any]) -> Any:
        (node, path), reading = node, info.context
        return {"\0loc": Loc(reading.file, path), **cls.spelt_out(node, path, reading)}


# ------------------------------------------------------------------ values


def parsed(text: str) -> Any:
    """A scalar of the text, parsed where it is an expression."""
    return expressed(scalar, text)


def evaluable(node: Any, steps: Steps, faults: Faults) -> Value:
    """Any value, the expressions in it parsed."""
    if isinstance(node, list):
        return [evaluable(entry, (*steps, i), faults) for i, entry in enumerate(node)]
    if isinstance(node, dict):
        return {key: evaluable(entry, (*steps, key), faults) for key, entry in node.items()}
    return faults.at(steps, parsed, node) if isinstance(node, str) and "$" in node else node


def _anything(node: Any) -> Value:
    with Faults() as faults:
        return evaluable(node, (), faults)


def _default(node: Any) -> Value:
    if isinstance(node, str) and node != "required" and near(node, ["required"], 0.8):
        raise refuse("E204", f"the default is the text `{cut(node)}`", "did you mean `required`?")
    return REQUIRED if isinstance(node, str) and node == "required" else _anything(node)


def _plain(node: Any, info: ValidationInfo[Any]) -> str:
    if not isinstance(node, str) or not node:
        raise wrong_kind("text", "put it in quotes" if node else "write it, or leave the key out")
    plain = parsed(node)
    if isinstance(plain, Expr):
        said = f"`{info.field_name}` can hold no expression"
        raise refuse("E220", said, "a dollar sign is `$$`")
    return str(plain)


_TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def _condition(node: Any) -> Value:
    wanted = "true, false or an expression"
    if isinstance(node, bool):
        return node
    if not isinstance(node, str):
        raise wrong_kind(wanted)
    if "$" in node:
        found = parsed(node)
        if not isinstance(found, str):
            return found
        raise wrong_kind(wanted, f"`$$` is a dollar sign; write `{cut(found)}`")
    plain = _TRUTHS.get(node.lower())
    raise wrong_kind(
        wanted, f"write `{plain}`" if plain else f"an expression is written `$({cut(node)})`"
    )


def _callee(node: Any) -> Value:
    """The name of a block, or an expression that gives one."""
    if isinstance(node, str) and "$" in node:
        return parsed(node)
    if isinstance(node, str) and is_block(node):
        return node
    help = f"write `{node}: …`" if isinstance(node, str) and node in REGISTRY else ""
    raise wrong_kind("the name of a block, or an expression that gives one", help)


def _inner_path(node: Any) -> Template:
    """A path that may begin with a number: of what a `sequential` holds."""
    return _path(str(node) if type(node) is int else node, before="a.")


def _freeze(node: Any) -> Value:
    """A condition, or paths inside of the item."""
    if isinstance(node, list):
        if not node:
            raise refuse("E204", "`freeze` is an empty list", "`false` freezes nothing")
        with Faults() as faults:
            return tuple(faults.at((i,), _inner_path, one) for i, one in enumerate(node))
    if isinstance(node, str) and is_path(node) and node not in _TRUTHS:
        wanted = "true, false, an expression, or a list of paths"
        raise wrong_kind(wanted, f"write `[{cut(node)}]`")
    return _condition(node)


def word(*words: str, alike: dict[str, str] | None = None) -> tuple[Any, ...]:
    """A field that takes one of some words, as `one_of` does."""
    return PlainValidator(one_of(*words, alike=alike)), WithJsonSchema({"enum": list(words)})


def one_of(*words: str, alike: dict[str, str] | None = None) -> Callable[[Any], str]:
    """One of some words; `alike`: what others mean. `...` stands for one that must be written."""

    def check(node: Any) -> str:
        if isinstance(node, str) and node in words:
            return node
        if node is ...:
            raise PydanticKnownError("missing")
        raise refuse("word", written(node), words=words, alike=(alike or {}).get(str(node), ""))

    return check


def keys(pattern: str) -> Spelt:
    """What the keys of a mapping look like."""
    return Spelt(lambda found: {**found, "propertyNames": {"pattern": pattern}})


# A key without a value stands for an empty mapping.
MAPPING = (
    BeforeValidator(lambda node: {} if node is None else node),
    Spelt(lambda found: {"anyOf": [found, {"type": "null"}]}),
)
Text = Annotated[str, PlainValidator(_plain), WithJsonSchema({"type": "string", "minLength": 1})]
Condition = Annotated[Any, PlainValidator(_condition, json_schema_input_type=bool | Expression)]
Callee = Annotated[
    Any,
    PlainValidator(
        _callee, json_schema_input_type=Annotated[str, Field(pattern=BLOCK)] | Expression
    ),
]
Freeze = Annotated[
    Any,
    PlainValidator(
        _freeze,
        json_schema_input_type=bool | Expression | Annotated[list[str | int], Field(min_length=1)],
    ),
]
_ParamName = Annotated[str, named(bad_param)]
_Default = Annotated[Any, PlainValidator(_default)]
_Value = Annotated[Any, PlainValidator(_anything)]
Defaults = Annotated[dict[_ParamName, _Default], keys(PARAM), *MAPPING]
Values = Annotated[dict[str, _Value], keys(PARAM), *MAPPING]

# ------------------------------------------------------------------ paths


def template_of(node: Any) -> Template:
    """A name or path with expressions in its segments."""
    if isinstance(node, int) and not isinstance(node, bool):  # as YOLO's files count items
        raise wrong_kind("a name", "the item before is `prev`, others are named by their `id`")
    if not isinstance(node, str) or not node:
        raise wrong_kind("a name")
    found: Template = expressed(template, node)
    return found


def _shape_of(text: Template) -> str:
    """The text, its expressions replaced by what a value may look like."""
    shape = "".join(part if isinstance(part, str) else "0" for part in text.parts)
    return f"a{shape}" if isinstance(text.parts[0], Expr) else shape


def _id(node: Any, info: ValidationInfo[Any]) -> Template:
    if isinstance(node, int) and not isinstance(node, bool):
        raise wrong_kind("a name", other_id(node))
    found = template_of(node)
    op = info.data.get("op", "")
    shape = _shape_of(found)

    def wrong(text: str) -> str:
        return bad_id(text, op).replace(f"`{shape}`", f"`{cut(found.text)}`")

    broken(wrong, shape, False, other_id(found.text))
    return found


def _path(node: Any, before: str = "", *, many: bool = False) -> Template:
    found = template_of(node)
    shape = before + _shape_of(found)
    if not (is_path(shape) or (many and is_pattern(shape))):
        if is_pattern(shape):
            said = f"`{cut(node)}` stands for several items, and one is meant here"
            raise refuse("E205", said, "name one of them")
        said = f"`{cut(node)}` is not a path: names and numbers with dots between"
        raise refuse("E205", said)
    return found


def ref(node: Any, loc: Loc, *, many: bool = False) -> Ref:
    """One dotted path to an item; `many`: or a pattern, to several."""
    return Ref(path=_path(node, many=many), loc=loc)


def _refs(node: Any, loc: Loc) -> Ref:
    return ref(node, loc, many=True)


def refs(node: Any, loc: Loc, what: str, steps: Steps, faults: Faults) -> tuple[Ref, ...]:
    """A list of paths, or one; `what` they are, in a sentence."""
    if not isinstance(node, list):
        return (faults.at(steps, _refs, node, loc),)
    if not node:
        help = "name at least one item, or leave it out"
        faults.add(steps, "E204", f"{what} is an empty list", help)
    return tuple(
        faults.at((*steps, i), _refs, one, Loc(loc.file, (*loc.path, i)))
        for i, one in enumerate(node)
    )


def _inside(info: ValidationInfo, *steps: str) -> Loc:
    """The place of a key of a model."""
    loc: Loc = info.data["loc"]
    return Loc(loc.file, (*loc.path, *steps))


def _from(node: Any, info: ValidationInfo[Any]) -> tuple[Ref, ...]:
    """Inputs, in order or by name."""
    if node == {}:
        raise refuse("E204", "`from` is empty", "write a list: `from: [a, b]`")
    with Faults() as faults:
        if not isinstance(node, dict):
            return refs(node, _inside(info, "from"), "`from`", (), faults)
        return tuple(
            replace(one, slot=slot)
            for slot, given in node.items()
            for one in refs(given, _inside(info, "from", slot), f"`{cut(slot)}`", (slot,), faults)
            if one is not None
        )


def _outputs(node: Any, info: ValidationInfo[Any]) -> dict[str, tuple[Ref, ...]]:
    """Paths by name."""
    if not isinstance(node, dict):
        whole = isinstance(node, str) and is_path(node)
        example = f"{{output: {node}}}" if whole else "{logits: fc}"
        help = f"for example `outputs: {example}`"
        raise wrong_kind("a mapping from names to paths", help)
    if not node:
        raise refuse("E204", "`outputs` is empty", "leave it out for the last item")
    found = {}
    with Faults() as faults:
        for name, paths in node.items():
            faults.at((name,), broken, bad_output, name)
            loc, what = _inside(info, "outputs", name), f"the output `{cut(name)}`"
            found[name] = refs(paths, loc, what, (name,), faults)
    return found


_PATHS: Any = str | Annotated[list[str], Field(min_length=1)]
Id = Annotated[Any, PlainValidator(_id, json_schema_input_type=str)]
From = Annotated[
    tuple[Ref, ...] | None,
    PlainValidator(
        _from, json_schema_input_type=_PATHS | Annotated[dict[str, _PATHS], Field(min_length=1)]
    ),
]
Outputs = Annotated[
    dict[str, tuple[Ref, ...]] | None,
    PlainValidator(
        _outputs, json_schema_input_type=Annotated[dict[str, _PATHS], Field(min_length=1)]
    ),
]
Tie = Annotated[
    Ref | None,
    PlainValidator(lambda node, info: ref(node, _inside(info, "tie")), json_schema_input_type=str),
]
Shared = Annotated[
    Ref | None,
    PlainValidator(
        lambda node, info: ref(node, _inside(info, "shared")), json_schema_input_type=str
    ),
]

# ------------------------------------------------------------------ shapes and copies


def _axis(node: Any) -> Any:
    """A size, an expression, or a free axis with the size that tables use."""
    if not isinstance(node, dict) or len(node) != 1:
        return _size(node)
    ((name, size),) = node.items()
    with Faults() as faults:
        faults.at((name,), broken, bad_axis, name)
        return None if faults else Axis(name=name, size=faults.at((name,), _size, size))


def _size(node: Any) -> Value:
    if isinstance(node, str) and "$" in node:
        return parsed(node)
    if type(node) is not int:
        wanted = "a whole number, an expression, or a name with a size"
        example = f"a free axis has a size for the tables: `{{{node}: 224}}`"
        named = isinstance(node, str) and not bad_axis(node)
        raise wrong_kind(wanted, example if named else "", what="an axis")
    if node < 1:
        raise refuse("E204", f"an axis is {node}; it is at least 1")
    return node


def _shape(node: Any) -> Any:
    if not isinstance(node, list):
        raise wrong_kind("a shape", _SHAPE, what="an input")
    if len(node) > _MOST_AXES:
        said = f"the input has {len(node)} axes; at most {_MOST_AXES} are allowed"
        raise refuse("E204", said, "the batch axis is not written")
    return node


def _entry(node: Any) -> Value:
    if isinstance(node, str) and "$" in node:
        return parsed(node)
    if node is None or (type(node) is int and node >= 0):
        return node
    said = f"`expect` has the entry {written(node)}; an entry is a size or `~`"
    raise refuse("E222", said, _OUTPUT)


def _output_shape(node: Any) -> Any:
    if isinstance(node, str) and "$" in node:
        said = "`expect` is one expression; it takes a list with one entry an axis"
        raise refuse("E222", said, _OUTPUT)
    if not isinstance(node, list):
        raise wrong_kind("a shape", _OUTPUT)
    return node


def _repeat(node: Any, info: ValidationInfo[Any]) -> Repeat:
    """A count, or columns."""
    loc = _inside(info, "repeat")
    if isinstance(node, dict):
        return Repeat(columns=_columns(node), loc=loc)
    if isinstance(node, str) and "$" in node:
        return Repeat(count=parsed(node), loc=loc)
    if isinstance(node, list):
        said = "`repeat` is a list; columns have names"
        raise refuse("E218", said, f"write `repeat: {{n: {cut(written(node))}}}`")
    if type(node) is not int:
        said = f"`repeat` is {written(node)}; it takes a whole number from 0, or columns"
        raise refuse("E218", said, "use a whole number" if isinstance(node, float) else "")
    if not 0 <= node <= _MOST_COPIES:
        said = f"`repeat` is {node}; it takes a whole number from 0 to {_MOST_COPIES}"
        raise refuse("E218", said)
    return Repeat(count=node, loc=loc)


def _listed(entry: Any, *, alone: bool) -> str:
    """The remedy for a column that is no list; `alone`: no other one says how long it is."""
    if isinstance(entry, str) and entry.isidentifier():
        return f"write `${entry}` for a param"
    if alone and entry is not None:
        return f"write `[{cut(written(entry))}]`"
    return "write `[…]`" if alone else "it has one entry for each copy, as the other columns have"


def _columns(node: dict[str, Any]) -> dict[str, Value]:
    if not node:
        help = "write a whole number, or `{n: [2, 2, 3]}`"
        raise refuse("E218", "`repeat` has no columns", help)
    with Faults() as faults:
        for name, entry in node.items():
            faults.at((name,), broken, bad_param, name)
            expression = isinstance(entry, str) and entry.startswith("$")
            if not isinstance(entry, list) and not expression:
                shown = "empty" if entry is None else written(entry)
                said = f"the column `{cut(name)}` is {shown}; a column is a list"
                faults.add((name,), "E218", said, _listed(entry, alone=len(node) == 1))
        lengths = {name: len(entry) for name, entry in node.items() if isinstance(entry, list)}
        counts = Counter(lengths.values())
        if len(counts) > 1:
            ((usual, _),) = counts.most_common(1)
            odd = next(name for name, count in lengths.items() if count != usual)
            shown = ", ".join(f"`{name}` {count}" for name, count in lengths.items())
            said = f"the columns of `repeat` differ in length: {shown}"
            faults.add((odd,), "E216", said, "give all columns the same length")
        found: dict[str, Value] = evaluable(node, (), faults)
    return found


_Count = Annotated[int, Field(ge=0, le=_MOST_COPIES)]
_Size: Any = Annotated[int, Field(ge=1)] | Expression
_Axis = Annotated[Any, PlainValidator(_axis, json_schema_input_type=_Size | dict[str, _Size])]
Shape = Annotated[
    tuple[_Axis, ...],
    BeforeValidator(_shape),
    Spelt(lambda found: {**found, "maxItems": _MOST_AXES}),
]
_Entry = Annotated[Any, PlainValidator(_entry, json_schema_input_type=_Count | Expression | None)]
OutputShape = Annotated[tuple[_Entry, ...] | None, BeforeValidator(_output_shape)]
Repeats = Annotated[
    Repeat | None,
    PlainValidator(
        _repeat,
        json_schema_input_type=_Count
        | Expression
        | Annotated[dict[str, list[Any] | Expression], Field(min_length=1)],
    ),
]
