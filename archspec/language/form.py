"""Plain data → Form: what may stand where in a document, as Pydantic models.

A form has an author's keys, each with its value checked and its expressions parsed; the op of an
item is under `op`, what it is given under `args`. Names are looked up afterwards (resolve.py).
The same models are what `archspec schema` shows.

    - {id: a, conv: {out: $width, kernel: 3}, tap: train}
    Item(id=Template("a"), op="conv", args={"out": Expr("width"), "kernel": 3}, tap="train")
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError, ValidationError

from archspec.language import arguments
from archspec.language.arguments import BESIDE
from archspec.language.expected import Expected
from archspec.language.fillers import AnyInit, InitByOp
from archspec.language.kinds import (
    MAPPING,
    Condition,
    Form,
    From,
    Id,
    Outputs,
    OutputShape,
    Params,
    Path,
    Repeat,
    Shape,
    Text,
    all_of,
    is_mapping,
    named,
    refuse,
    takes,
    word,
    wrong_kind,
)
from archspec.language.names import (
    MERGES,
    STRUCTURE,
    bad_block,
    bad_document,
    bad_id,
    bad_input,
    bad_variant,
    is_block,
)
from archspec.language.weights import Section
from archspec.language.sentences import cut, listed
from archspec.layers import REGISTRY

if TYPE_CHECKING:
    from archspec.layers import BadArgument

LEFT_OUT = ""  # the op of an item that was refused
# Names of fields that no file can say: it holds no NUL.
OP, ARGS = "\0op", "\0args"
_OWNERS = {
    "merge": ("residual", "branches"),
    "shortcut": ("residual",),
    "shortcut_when": ("residual",),
}
_MERGED = {
    "sum": "add", "plus": "add", "cat": "concat", "prod": "mul", "avg": "mean", "average": "mean",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known while one file is read: its blocks by name, the calls found to be right.

    `lenient`: an item that is refused is left out, and the rest of its body read all the same.
    """

    blocks: Collection[str]
    lenient: bool = False
    checked: dict[str, list[BadArgument]] = field(default_factory=dict)

    def known(self, word: str) -> bool:
        return word in STRUCTURE or word in self.blocks or word in REGISTRY


# ------------------------------------------------------------------ items


def _listed(node: Any) -> Any:
    """One item stands for a list of one."""
    if isinstance(node, (str, dict)):
        return [node]
    if not isinstance(node, list):
        raise wrong_kind("a list of items", "`[]` is the identity" if node is None else "")
    return node


def _left_out(node: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    try:
        return read(node)
    except ValidationError:
        if info.context.lenient:
            return Item.model_construct(op=LEFT_OUT)
        raise


def _paths(node: Any) -> Any:
    if not node or not isinstance(node, (list, dict)):
        raise wrong_kind("paths by name, or a list of paths", empty=not node)
    return node


Body = Annotated[
    list[Annotated["Item", WrapValidator(_left_out)]],
    BeforeValidator(_listed, json_schema_input_type="Item | list[Item]"),
]
_NamedPaths = Annotated[dict[Annotated[str, named(bad_id)], Body], Field(min_length=1)]
_Paths = Annotated[list[Body], Field(min_length=1)]
Branches = Annotated[
    Annotated[_NamedPaths, Tag("a mapping")] | Annotated[_Paths, Tag("no mapping")],
    Discriminator(is_mapping),
    BeforeValidator(_paths),
]


def _arguments(node: Any, info: ValidationInfo) -> Any:
    """What the op is given: arguments by name, inputs as a list, or the one value of a call."""
    op = info.data["op"]
    if op in STRUCTURE:
        return None
    steps = (op,) if info.data["spelt"] else ()
    return arguments.read(op, node, steps, info.context.checked)


class Item(Form):
    """One item of a body: one operation, and what stands beside it."""

    spelt: bool = Field(True, alias="\0spelt")  # whether it is a mapping, not a bare word
    op: str = Field(alias=OP)
    args: Annotated[Any, PlainValidator(_arguments)] = Field(None, alias=ARGS)
    id: Id = Field(None, description="names the item")
    from_: From = Field(None, alias="from", description="inputs other than the previous item")
    repeat: Repeat = Field(None, description="copies: a number, or columns in step")
    when: Condition = Field(True, description="if false, the item is not there")
    shortcut_when: Condition = Field(
        True, description="if false, the residual has no shortcut at all"
    )
    tap: Annotated[Literal["train", "always"], *word("train", "always")] = Field(
        None, description="computed beside the line, in training only or always"
    )
    expect: OutputShape = Field(None, description="the output shape; ~ is any size")
    freeze: Condition = Field(None, description="its weights are not trained")
    init: AnyInit = Field(None, description="weight initialisation")
    note: Text = Field("", description="a remark")
    body: Body = Field(None, description="a group")
    sequential: Body = Field(None, description="a group whose items are numbered")
    branches: Branches = Field(None, description="the same input into each path")
    merge: Annotated[
        Literal["concat", "add", "mul", "mean", "max"], *word(*MERGES, alike=_MERGED)
    ] = Field("add", description="how paths join")
    residual: Body = Field(None, description="merged with its shortcut")
    shortcut: Body = Field(None, description="the other path of a residual; missing = identity")
    shared: Path = Field(None, description="an earlier item once more, with the same weights")

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, node: Any, info: ValidationInfo) -> Any:
        if isinstance(node, str):
            return _word(node, info.context)
        if not isinstance(node, dict):
            help = "put a path of several items under `body:`" if isinstance(node, list) else ""
            raise wrong_kind("a word or a mapping", help, what="an item")
        op = _operation(node, info.context)
        if op in STRUCTURE:
            return {OP: op, **node}
        return {OP: op, ARGS: node[op], **{key: node[key] for key in node if key != op}}

    @model_validator(mode="after")
    def _together(self) -> Self:
        """What only some operations have beside them."""
        given, op = self.model_fields_set, self.op
        all_of(
            ((key,), _owned(key, op, owners))
            for key, owners in _OWNERS.items()
            if key in given and op not in owners
        )
        if op == "branches" and "merge" not in given:
            help = "add `merge: concat` (or add, mul, mean, max) beside it"
            all_of([((op,), refuse("E202", "`branches` needs `merge`", help, on_key=True))])
        if self.from_ is not None and isinstance(self.args, list) and op in REGISTRY:
            said = f"the inputs of `{op}` are given as its list and by `from`"
            all_of([(("from",), refuse("E227", said, "keep one of them", on_key=True))])
        return self


def _owned(key: str, op: str, owners: Collection[str]) -> PydanticCustomError:
    said = f"`{key}` means nothing on `{op}`; it belongs to {listed(owners)}"
    return refuse("E215", said, "remove it", on_key=True)


def _word(text: str, reading: Reading) -> dict[str, Any]:
    """A bare word: an op or block without arguments."""
    if text in STRUCTURE:
        example = "a path" if text == "shared" else "items"
        raise refuse("E204", f"`{text}` stands without {example}", f"write `{text}: …`")
    if not (reading.known(text) or is_block(text)):
        raise _no_operation(text, reading, on_key=False)
    return {"\0spelt": False, OP: text, ARGS: None}


def _operation(node: dict[str, Any], reading: Reading) -> str:
    """The one operation of an item's keys."""
    others = [key for key in node if key not in BESIDE]
    if len(others) == 1 and (reading.known(others[0]) or is_block(others[0])):
        return others[0]
    known = [key for key in others if reading.known(key)]
    if len(known) > 1:
        said = f"an item has exactly one operation; {listed(known)} are {len(known)}"
        help = "make each an item of its own, with its own `-`"
        all_of([((known[1],), refuse("E214", said, help, on_key=True))])
    if not others:
        raise refuse("E214", "the item has no operation", "add an op, a block, or `body`")
    known = known or [key for key in others if is_block(key)]
    if not known:
        bad = others[0]
        all_of([((bad,), _no_operation(bad, reading, on_key=True))])
    return known[0]


def _no_operation(word: str, reading: Reading, *, on_key: bool) -> PydanticCustomError:
    """A word that is neither an op nor a block."""
    head, colon, rest = word.partition(":")
    if colon and rest and (reading.known(head) or is_block(head)):
        span = (len(head), len(head) + 1)
        help = f"write `{head}: {cut(rest)}`"
        return refuse("E115", "a space is missing after `:`", help, span=span)
    if "$" in word:
        said = f"`{cut(word)}` is an expression; an operation is a word"
        return refuse("E207", said, on_key=on_key)
    if word in BESIDE:
        said = f"`{word}` is a modifier, not an operation"
        return refuse("E214", said, "add an op, a block, or `body`", on_key=on_key)
    return refuse("no_operation", word, on_key=on_key)


# ------------------------------------------------------------------ the document


def _head(node: Any) -> list[Any]:
    return node if isinstance(node, list) else [] if node is None else [node]


def _head_path(text: str) -> str:
    first, *rest = text.split(".")
    if bad_id(first) or not all((p.isascii() and p.isidentifier()) or p.isdecimal() for p in rest):
        raise refuse("E205", f"`{cut(text)}` is not a path: names and numbers with dots between")
    return text


def _version(node: Any) -> int:
    if type(node) is not int or node != 1:
        said = f"`spec` is {cut(str(node))}; this release reads version 1"
        raise refuse("E226", said, "write `spec: 1`")
    return node


def _inputs(node: Any) -> Any:
    if node == {}:
        help = "for example `input: [3, 224, 224]`"
        raise refuse("E204", "`input` is empty", help, on_key=True)
    return node


def _is_named(node: Any) -> str:
    """Whether inputs are given by name."""
    return is_mapping(None if isinstance(node, dict) and "shape" in node else node)


def _block_inputs(node: Any) -> Any:
    if node == []:
        help = "leave it out for one input without a name"
        raise refuse("E204", "`inputs` is an empty list", help)
    if not isinstance(node, list):
        raise wrong_kind("a list of names", "for example `inputs: [x, skip]`")
    return node


def _each_once(names: list[str]) -> list[str]:
    all_of(
        ((i,), refuse("E206", f"`{name}` is given twice", "choose another name"))
        for i, name in enumerate(names)
        if name in names[:i]
    )
    return names


class Holder(Form):
    """What has a body: a block, a document."""

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        both = [key for key in ("body", "sequential") if key in self.model_fields_set]
        if not both:
            help = "write `body:` and its items below"
            raise refuse("no_body", "has no `body`", help, on_key=True)
        if len(both) > 1:
            said = "has `body` and `sequential`"
            all_of([(("sequential",), refuse("no_body", said, "keep one of them", on_key=True))])
        return self


class Block(Holder):
    """A reusable part."""

    wanted: ClassVar[str] = "a mapping with `body`"

    params: Params = Field({}, description="named values; `required` has no default")
    inputs: Annotated[
        list[Annotated[str, named(bad_input, on_key=False), takes("a name", str)]],
        Field(min_length=1),
        AfterValidator(_each_once),
        BeforeValidator(_block_inputs),
    ] = Field([], description="names of its inputs")
    body: Body = Field(None, description="its items, read top to bottom")
    sequential: Body = Field(None, description="its items, numbered 0, 1, 2 …")
    outputs: Outputs = Field(None, description="outputs by name; default: the last item")
    note: Text = Field("", description="a remark")


class Input(Form):
    """One input of the network: a shape without the batch axis, and a dtype."""

    shape: Shape
    dtype: Annotated[Literal["float", "int", "bool"], *word("float", "int", "bool")] = "float"

    @classmethod
    def spelt_out(cls, node: Any) -> Any:
        return node if isinstance(node, dict) else {"shape": node}


class Use(Form):
    """Another spec file, taken in as a block."""

    file: Text
    variant: Text | None = None
    outputs: Outputs = Field(None)

    @classmethod
    def spelt_out(cls, node: Any) -> Any:
        if node is not None and not isinstance(node, (str, dict)):
            raise wrong_kind("a mapping")
        return {"file": node} if isinstance(node, str) else node or {}


_Inputs = dict[Annotated[str, named(bad_input)], Input]


class Document(Holder):
    """archspec, version 1."""

    spec: Annotated[Literal[1], PlainValidator(_version), WithJsonSchema({"const": 1})] = Field(
        description="version of the language"
    )
    name: Annotated[Text, named(bad_document, on_key=False)] = Field(
        "", description="identifier; names the file, the class and the diagram"
    )
    title: Text = Field("", description="one line: what it is")
    cite: Text = Field("", description="one line: the paper")
    params: Params = Field({}, description="named values with defaults, set from outside")
    variants: Annotated[dict[Annotated[str, named(bad_variant)], Params], *MAPPING] = Field(
        {}, description="named sets of params"
    )
    input: Annotated[
        Annotated[_Inputs, Tag("a mapping")] | Annotated[Input, Tag("no mapping")],
        Discriminator(_is_named),
        BeforeValidator(_inputs),
    ] = Field(description="[3, 224, 224], or several by name; the batch axis is never written")
    use: Annotated[dict[Annotated[str, named(bad_block)], Use], *MAPPING] = Field(
        {}, description="other spec files taken in as blocks"
    )
    blocks: Annotated[dict[Annotated[str, named(bad_block)], Block], *MAPPING] = Field(
        {}, description="reusable parts"
    )
    body: Body = Field(None, description="the network, read top to bottom")
    sequential: Body = Field(None, description="the network, its items numbered 0, 1, 2 …")
    outputs: Outputs = Field(None, description="outputs by name; default: the last item")
    head: Annotated[
        list[Annotated[Text, AfterValidator(_head_path)]],
        BeforeValidator(_head, json_schema_input_type=str | list[str] | None),
    ] = Field([], description="where a weight that does not fit is started afresh")
    init: InitByOp = Field(None, description="weight initialisation by op")
    weights: Section | None = Field(None, description="where published weights come from")
    expect: Expected | None = Field(None, description="totals to check, by variant")


Document.model_rebuild()
