"""One value as written → checked value: the types of what forms hold.

A type says what it takes, for `archspec schema`, and refuses the rest with a code, a sentence and
a remedy; where that stands is found later, from the steps that led to the value (complaints.py).

    TypeAdapter(Paths).validate_python("enc$i")   # [Template("enc$i")]
    TypeAdapter(Text).validate_python(3)          # refused: it takes text
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, LiteralString

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    StrictInt,
    Tag,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, ValidationError

from archspec.expressions import Expr, ExpressionError, Template, scalar, template
from archspec.language.models import Axis, Value
from archspec.language.names import bad_axis, bad_id, bad_output, bad_param, is_path
from archspec.language.sentences import cut
from archspec.layers.fields import written

Steps = tuple[str | int, ...]
Expression = Annotated[str, Field(pattern=r"^\$", description="an expression")]

_MOST_COPIES = 10**9
_MOST_AXES = 8

# ------------------------------------------------------------------ refusing


def refuse(code: LiteralString, said: str, help: str = "", **more: Any) -> PydanticCustomError:
    """A fault to raise. `more`: `on_key` where it stands on a key, `span` in a text."""
    return PydanticCustomError(code, "{said}", {"said": said, "help": help, **more})


def wrong_kind(wanted: str, help: str = "", **more: Any) -> PydanticCustomError:
    """A value of another kind; the sentence is made where it is known what it is the value of."""
    return PydanticCustomError("kind", "{said}", {"said": wanted, "help": help, **more})


def all_of(faults: Iterable[tuple[Steps, PydanticCustomError]]) -> None:
    """Raises the faults of one value, each with the steps that lead to it, where there are any."""
    lines = [InitErrorDetails(type=fault, loc=steps, input=None) for steps, fault in faults]
    if lines:
        raise ValidationError.from_exception_data("form", lines)


def of_expression(bad: ExpressionError) -> PydanticCustomError:
    code: Any = bad.code
    return refuse(code, bad.message, bad.help, span=(bad.start, bad.stop))


def takes(wanted: str, *types: type, help: str = "") -> BeforeValidator:
    """Lets through values of some types."""

    def check(value: Any) -> Any:
        if not isinstance(value, types):
            raise wrong_kind(wanted, help)
        return value

    return BeforeValidator(check)


def named(rule: Callable[[str], str], *, on_key: bool = True, help: str = "") -> AfterValidator:
    """A name that keeps a rule of names.py."""

    def check(name: str) -> str:
        wrong = rule(name)
        if wrong:
            code: LiteralString = "E403" if wrong.startswith("a name of") else "E205"
            raise refuse(code, wrong, help or "choose another name", on_key=on_key)
        return name

    return AfterValidator(check)


def _if_empty(value: Any) -> Any:
    return {} if value is None else value


# A key without a value stands for an empty mapping.
MAPPING = (takes("a mapping", dict), BeforeValidator(_if_empty))


class Form(BaseModel):
    """Base of all forms: a mapping with known keys, which may have a shorter spelling."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    wanted: ClassVar[str] = "a mapping"  # in a complaint
    help: ClassVar[str] = ""
    short: ClassVar[Any] = None  # the type of the shorter spelling

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, node: Any, info: ValidationInfo) -> Any:
        return cls.spelt_out(node)

    @classmethod
    def spelt_out(cls, node: Any) -> Any:
        """The mapping that what is written stands for."""
        if not isinstance(node, dict):
            raise wrong_kind(cls.wanted, cls.help)
        return node

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        ref = handler(core)
        if cls.short is not None:
            found = handler.resolve_ref_schema(ref)
            mapping = dict(found)
            found.clear()
            found["anyOf"] = [mapping, TypeAdapter(cls.short).json_schema()]
        return ref


# ------------------------------------------------------------------ values


def parsed(text: str) -> Any:
    """A scalar of the text, parsed where it is an expression."""
    try:
        return scalar(text)
    except ExpressionError as bad:
        raise of_expression(bad) from None


def evaluable(node: Any) -> Value:
    """Any value, the expressions in it parsed."""
    if isinstance(node, str):
        return parsed(node) if "$" in node else node
    if not isinstance(node, (list, dict)):
        return node
    faults: list[tuple[Steps, PydanticCustomError]] = []
    found = parse_inside(node, (), faults)
    all_of(faults)
    return found


def parse_inside(node: Any, steps: Steps, faults: list[tuple[Steps, PydanticCustomError]]) -> Value:
    """The same, faults noted with the steps that lead to them."""
    if isinstance(node, list):
        return [parse_inside(entry, (*steps, i), faults) for i, entry in enumerate(node)]
    if isinstance(node, dict):
        return {key: parse_inside(entry, (*steps, key), faults) for key, entry in node.items()}
    if not isinstance(node, str) or "$" not in node:
        return node
    try:
        return parsed(node)
    except PydanticCustomError as fault:
        faults.append((steps, fault))
        return None


def _plain(text: str, info: ValidationInfo) -> str:
    if "$" not in text:
        return text
    plain = parsed(text)
    if isinstance(plain, Expr):
        what = f"`{info.field_name}`"
        raise refuse("E220", f"{what} can hold no expression", "a dollar sign is `$$`")
    assert isinstance(plain, str)
    return plain


def _text(value: Any) -> Any:
    if not isinstance(value, str) or not value:
        raise wrong_kind("text", "put it in quotes" if value else "write it, or leave the key out")
    return value


def _condition(node: Any) -> Value:
    if isinstance(node, bool):
        return node
    if not isinstance(node, str):
        raise wrong_kind("true, false or an expression")
    if "$" in node:
        return parsed(node)
    words = {"yes": "true", "on": "true", "no": "false", "off": "false"}
    meant = words.get(node.lower(), f"$({cut(node)})")
    help = f"write `{meant}`" if node.lower() in words else f"an expression is written `{meant}`"
    raise wrong_kind("true, false or an expression", help)


Anything = Annotated[Any, PlainValidator(evaluable)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_plain), BeforeValidator(_text)]
Condition = Annotated[Any, PlainValidator(_condition, json_schema_input_type=bool | Expression)]
Params = Annotated[dict[Annotated[str, named(bad_param)], Anything], *MAPPING]


def word(*words: str, alike: dict[str, str] | None = None) -> tuple[Any, ...]:
    """One of some words; `alike`: what others mean."""

    def check(node: Any) -> str:
        if isinstance(node, str) and node in words:
            return node
        raise refuse("word", written(node), words=words, alike=(alike or {}).get(str(node), ""))

    return PlainValidator(check), WithJsonSchema({"enum": list(words)})


# ------------------------------------------------------------------ paths


def path_of(node: Any) -> Template:
    """A dotted path to an item, with expressions in its segments."""
    found = _template(node)
    shape = "".join(part if isinstance(part, str) else "0" for part in found.parts)
    if not is_path(f"a{shape}" if isinstance(found.parts[0], Expr) else shape):
        said = f"`{cut(node)}` is not a path: names and numbers with dots between"
        raise refuse("E205", said)
    return found


def _template(node: Any) -> Template:
    if not isinstance(node, str) or not node:
        raise wrong_kind("a name")
    try:
        return template(node)
    except ExpressionError as bad:
        raise of_expression(bad) from None


def _several(node: Any, info: ValidationInfo) -> list[Any]:
    if node == []:
        what = f"`{(info.field_name or '').rstrip('_')}` is an empty list"
        raise refuse("E204", what, "name at least one item, or leave it out")
    return node if isinstance(node, list) else [node]


def _some(node: Any) -> Any:
    if node == {}:
        raise refuse("E204", "`outputs` is empty", "leave it out for the last item")
    if isinstance(node, dict):
        return node
    whole = isinstance(node, str) and is_path(node)
    example = f"{{output: {node}}}" if whole else "{logits: fc}"
    help = f"for example `outputs: {example}`"
    raise wrong_kind("a mapping from names to paths", help)


def _named_slots(node: Any) -> Any:
    if not node:
        raise refuse("E204", "`from` is empty", "write a list: `from: [a, b]`")
    return node


def is_mapping(node: Any) -> str:
    """The tag of a mapping, and of what is none: no word of a spec, so that no step is mistaken."""
    return "a mapping" if isinstance(node, dict) else "no mapping"


def _id(node: Any, info: ValidationInfo) -> Template:
    found = _template(node)
    shape = "".join(part if isinstance(part, str) else "0" for part in found.parts)
    op = info.data.get("op", "")
    wrong = bad_id(f"a{shape}" if isinstance(found.parts[0], Expr) else shape, op)
    if wrong:
        code: LiteralString = "E403" if wrong.startswith("a name of") else "E205"
        raise refuse(code, wrong, "choose another id")
    return found


Path = Annotated[Any, PlainValidator(path_of, json_schema_input_type=str)]
Paths = Annotated[list[Path], BeforeValidator(_several, json_schema_input_type=str | list[str])]
Outputs = Annotated[
    dict[Annotated[str, named(bad_output)], Paths], Field(min_length=1), BeforeValidator(_some)
]
Id = Annotated[Any, PlainValidator(_id, json_schema_input_type=str)]
Slots = Annotated[dict[str, Path], Field(min_length=1), BeforeValidator(_named_slots)]
From = Annotated[
    Annotated[Slots, Tag("a mapping")] | Annotated[Paths, Tag("no mapping")],
    Discriminator(is_mapping),
]

# ------------------------------------------------------------------ shapes and copies


def _axis(node: Any) -> Any:
    """A size, an expression, or a free axis with the size that tables use."""
    if not isinstance(node, dict) or len(node) != 1:
        return _size(node)
    ((name, size),) = node.items()
    faults = []
    wrong = bad_axis(name)
    if wrong:
        faults.append(((name,), refuse("E205", wrong, "choose another name", on_key=True)))
    try:
        size = _size(size)
    except PydanticCustomError as fault:
        faults.append(((name,), fault))
    all_of(faults)
    return Axis(name=name, size=size)


def _size(node: Any) -> Value:
    if isinstance(node, str) and "$" in node:
        return parsed(node)
    if isinstance(node, bool) or not isinstance(node, int):
        example = f"`{{{node}: 224}}`"
        help = f"a free axis has a size for the tables: {example}" if isinstance(node, str) else ""
        raise wrong_kind(
            "a whole number, an expression, or a name with a size", help, what="an axis"
        )
    if node < 1:
        raise refuse("E204", f"an axis is {node}; it is at least 1")
    return node


def _shape(node: Any) -> Any:
    example = "for example `[3, 224, 224]`"
    if not isinstance(node, list):
        raise wrong_kind("a shape", example, what="an input")
    if not node:
        raise refuse("E204", "the input has no axes", example)
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
    raise refuse("E222", said, "for example `[256, ~, ~]`")


def _output_shape(node: Any) -> Any:
    example = "for example `[256, ~, ~]`"
    if isinstance(node, str) and "$" in node:
        said = "`expect` is one expression; it takes a list with one entry an axis"
        raise refuse("E222", said, example)
    if not isinstance(node, list):
        raise wrong_kind("a shape", example)
    return node


def _repeat(node: Any) -> Any:
    """A count, or columns."""
    if isinstance(node, str) and "$" in node:
        return parsed(node)
    if isinstance(node, dict):
        return _columns(node)
    if isinstance(node, list):
        said = "`repeat` is a list; columns have names"
        raise refuse("E218", said, f"write `repeat: {{n: {cut(written(node))}}}`")
    if isinstance(node, bool) or not isinstance(node, int):
        said = f"`repeat` is {written(node)}; it takes a whole number from 0, or columns"
        raise refuse("E218", said, "use a whole number" if isinstance(node, float) else "")
    if not 0 <= node <= _MOST_COPIES:
        said = f"`repeat` is {node}; it takes a whole number from 0 to {_MOST_COPIES}"
        raise refuse("E218", said)
    return node


def _columns(node: dict[str, Any]) -> dict[str, Value]:
    if not node:
        help = "write a whole number, or `{n: [2, 2, 3]}`"
        raise refuse("E218", "`repeat` has no columns", help)
    faults: list[tuple[Steps, PydanticCustomError]] = []
    for name, entry in node.items():
        wrong = bad_param(name)
        if wrong:
            faults.append(((name,), refuse("E205", wrong, "choose another name", on_key=True)))
        if not isinstance(entry, list) and not (isinstance(entry, str) and entry.startswith("$")):
            said = f"the column `{cut(name)}` is {written(entry)}; a column is a list"
            faults.append(((name,), refuse("E218", said, f"write `[{cut(written(entry))}]`")))
    lengths = {name: len(entry) for name, entry in node.items() if isinstance(entry, list)}
    if len(set(lengths.values())) > 1:
        faults.append(_uneven(lengths))
    found = {name: parse_inside(entry, (name,), faults) for name, entry in node.items()}
    all_of(faults)
    return found


def _uneven(lengths: dict[str, int]) -> tuple[Steps, PydanticCustomError]:
    counts = list(lengths.values())
    usual = max(counts, key=counts.count)
    odd = next(name for name, count in lengths.items() if count != usual)
    shown = ", ".join(f"`{name}` {count}" for name, count in lengths.items())
    said = f"the columns of `repeat` differ in length: {shown}"
    return (odd,), refuse("E216", said, "give all columns the same length")


Size = Annotated[int, Field(ge=1)] | Expression
_Axis = Annotated[Any, PlainValidator(_axis, json_schema_input_type=Size | dict[str, Size])]
Shape = Annotated[
    list[_Axis], Field(min_length=1, max_length=_MOST_AXES), BeforeValidator(_shape)
]
_Entry = Annotated[
    Any,
    PlainValidator(
        _entry, json_schema_input_type=Annotated[StrictInt, Field(ge=0)] | Expression | None
    ),
]
OutputShape = Annotated[list[_Entry], BeforeValidator(_output_shape)]
_Columns = Annotated[dict[str, list[Any] | Expression], Field(min_length=1)]
Repeat = Annotated[
    Any,
    PlainValidator(
        _repeat,
        json_schema_input_type=Annotated[StrictInt, Field(ge=0, le=_MOST_COPIES)]
        | Expression
        | _Columns,
    ),
]
