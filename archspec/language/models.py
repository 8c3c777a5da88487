"""Plain data → Spec: what may stand where in a document, as Pydantic models.

A model has an author's keys; shorter spellings are spelt out, expressions parsed, and every part
knows its place. Names are looked up afterwards (scopes.py). `archspec schema` is made of the same.

    - {id: a, linear: $width}
    →  Item(id=Template("a"), op="linear", args={"out": Expr("width")}, loc=Loc(…, ("body", 0)))
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainValidator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError, ValidationError

from archspec.expressions import Expr, Template
from archspec.language import arguments
from archspec.language.arguments import BESIDE
from archspec.language.expected import Expected, Warnings
from archspec.language.fillers import AnyInit, InitByOp
from archspec.language.kinds import (
    MAPPING,
    OURS,
    Callee,
    Condition,
    Defaults,
    Freeze,
    From,
    Id,
    Located,
    Outputs,
    OutputShape,
    Placed,
    Repeats,
    Shape,
    Shared,
    Spelt,
    Text,
    Tie,
    Values,
    keys,
    one_of,
    refs,
    word,
)
from archspec.language.names import (
    BLOCK,
    ID,
    MERGES,
    STRUCTURE,
    bad_block,
    bad_document,
    bad_id,
    bad_input,
    bad_variant,
    input_name,
    is_block,
    is_path,
)
from archspec.language.refusals import Faults, Steps, broken, named, refuse, takes, wrong_kind
from archspec.language.values import Merge, Part, Ref, Value, reads
from archspec.language.weights import Weights
from archspec.layers import REGISTRY
from archspec.text.faults import Loc
from archspec.text.source import Source
from archspec.text.words import cut, kind, listed

if TYPE_CHECKING:
    from archspec.layers import BadArgument

_MERGED = {
    "sum": "add", "plus": "add", "cat": "concat", "prod": "mul", "avg": "mean", "average": "mean",
}  # fmt: skip
_joins = one_of(*MERGES, alike=_MERGED)
# Where none is written: `...` must be.
_MERGES: dict[str, dict[str, Any]] = {"residual": {"merge": "add"}, "branches": {"merge": ...}}
LEFT_OUT = ""  # the op of an item that was refused
_MOST = 1_000  # items that are refused: nobody reads what is wrong with more


class Counting(Protocol):
    """What counts the items of all files of a run, before they are read (`Files`)."""

    items: int

    def written(self, count: int, loc: Loc) -> None:
        """So many items more. Raises SpecError."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known while one file is read.

    `lenient`: an item that is refused is left out, and the rest of its body read all the same.
    """

    file: str
    name: str  # of the spec, where it says none
    blocks: Mapping[str, Collection[str]]  # and files it uses: their params
    used: Mapping[str, Spec | None]
    files: Counting
    lenient: bool = False
    checked: dict[str, list[BadArgument]] = field(default_factory=dict)
    refused: set[Steps] = field(default_factory=set)  # the items that are, by their places
    words: dict[str, Item] = field(default_factory=dict)  # items that are a word alone, by that

    def known(self, word: str) -> bool:
        return word in STRUCTURE or word in self.blocks or word in REGISTRY


# ------------------------------------------------------------------ bodies


def _placed(node: Any, info: ValidationInfo[Any]) -> Any:
    """A list of items, each with its place; one item stands for a list of one."""
    if isinstance(node, Located):
        node, path = node
    else:
        op = info.data.get("op") or ("sequential" if info.data.get("numbered") else "body")
        key = "shortcut" if info.field_name == "shortcut" else op
        path = (*info.data["loc"].path, key)
    written = len(node) if isinstance(node, list) else 1
    info.context.files.written(written, Loc(info.context.file, path))
    if isinstance(node, (str, dict)):
        return [Located(node, path)]
    if not isinstance(node, list):
        raise wrong_kind("a list of items", "`[]` is the identity" if node is None else "")
    return [Located(entry, (*path, i)) for i, entry in enumerate(node)]


def _left_out(node: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo[Any]) -> Any:
    reading, word = info.context, node.node if isinstance(node.node, str) else None
    if word in reading.words:
        loc = Loc(reading.file, node.path)
        return reading.words[word].model_copy(update={"loc": loc, "key": loc})
    if len(reading.refused) < _MOST:
        try:
            found = read(node)
            if word is not None:
                reading.words[word] = found
            return found
        except ValidationError:
            reading.refused.add(node.path)
            if not reading.lenient:
                raise
    return Item.model_construct(op=LEFT_OUT, id=_id_of(node.node))


def _id_of(node: Any) -> Template | None:
    """The id of an item that was refused: others may speak of it."""
    name = node.get("id") if isinstance(node, dict) else None
    return Template(name, (name,)) if isinstance(name, str) and "$" not in name else None


def _each_placed(node: Any, info: ValidationInfo[Any]) -> Any:
    if not node or not isinstance(node, (list, dict)):
        raise wrong_kind("paths by name, or a list of paths", empty=not node)
    path: Steps = (*info.data["loc"].path, "branches")
    if isinstance(node, dict) and "repeat" in node:  # an item, of which each copy is a path
        return {None: Located(node, path)}
    info.context.files.written(len(node), Loc(info.context.file, path))
    entries = node.items() if isinstance(node, dict) else enumerate(node)
    return {key: Located(entry, (*path, key)) for key, entry in entries}


def _key(key: Any) -> Any:
    if isinstance(key, str):
        broken(bad_id, key)
    return key


def _branches(given: dict[Any, tuple[Item, ...]], info: ValidationInfo[Any]) -> tuple[Branch, ...]:
    loc: Loc = info.data["loc"]
    return tuple(
        Branch(
            key=key if isinstance(key, str) else None,
            items=items,
            loc=Loc(loc.file, (*loc.path, "branches", *(() if key is None else (key,)))),
        )
        for key, items in given.items()
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Branch(Part):
    """One path of `branches`; `each`: one for each copy of an item that repeats."""

    key: str | None  # of a mapping; None in a list
    items: tuple[Item, ...]
    loc: Loc

    @property
    def each(self) -> bool:
        alone = self.key is None and len(self.items) == 1 and self.items[0].loc == self.loc
        return alone and self.items[0].repeat is not None


_Items = tuple[Annotated["Item", WrapValidator(_left_out)], ...]
Body = Annotated[
    _Items,
    BeforeValidator(_placed),
    Spelt(lambda found: {"anyOf": [found["items"], found]}),
]
Shortcut = Annotated[_Items | None, GetPydanticSchema(lambda _, read: read(Body))]
_EachBody = Annotated[
    dict[Annotated[Any, PlainValidator(_key)], Body],
    AfterValidator(_branches),
    BeforeValidator(_each_placed),
    Spelt(
        lambda found: {
            "anyOf": [
                {**found, "minProperties": 1},
                {"type": "array", "items": found["additionalProperties"], "minItems": 1},
                {"allOf": [found["additionalProperties"]["anyOf"][0], {"required": ["repeat"]}]},
            ]
        }
    ),
]


def only(*ops: str) -> BeforeValidator:
    """A modifier that only some operations have."""

    def check(value: Any, info: ValidationInfo[Any]) -> Any:
        op = info.data["op"]
        if op not in ops and op.lower() not in ops:  # `Branches` is said to be none
            key = str(info.field_name).rstrip("_")
            said = f"`{key}` means nothing on `{op}`; it belongs to {listed(ops)}"
            raise refuse("E215", said, "remove it", on_key=True)
        return value

    return BeforeValidator(check)


def _of_op(value: Any, info: ValidationInfo[Any]) -> Any:
    """`tie`: that of a single op."""
    if info.data["op"] not in REGISTRY:
        said = f"`tie` means nothing on `{info.data['op']}`; it belongs to an op with a weight"
        raise refuse("E215", said, "write it beside the op inside", on_key=True)
    return value


def _not_both(value: Any, info: ValidationInfo[Any]) -> Any:
    if info.data.get("listed") is not None:
        said = f"the inputs of `{info.data['op']}` are given as its list and by `from`"
        raise refuse("E227", said, "keep one of them", on_key=True)
    return value


_How = Literal["concat", "stack", "add", "mul", "mean", "max"]


def _merge(node: Any, info: ValidationInfo[Any]) -> Merge:
    """The word of an op, or that with its parameters."""
    if not (isinstance(node, dict) and len(node) == 1):
        return Merge(_joins(node))
    ((op, given),) = node.items()
    with Faults() as faults:
        if faults.at((), _joins, op) is None:
            return Merge(op)
        return Merge(op, arguments.of_op(REGISTRY[op], given, (op,), faults, info.context.checked))


def _arguments(node: Any, info: ValidationInfo[Any]) -> dict[str, Value]:
    """Arguments by name; they stand behind the op where the item is a mapping."""
    op, reading = info.data["op"], info.context
    steps: Steps = (op,) if info.data["key"].on_key else ()
    cls = REGISTRY.get(op)
    with Faults() as faults:
        if op == "call":
            return arguments.of_block(op, node, (), ("with",), faults)
        if cls is not None:
            return arguments.of_op(cls, node, steps, faults, reading.checked)
        if op not in reading.blocks and _is_body(node):
            return {}  # no block is given items
        return arguments.of_block(op, node, reading.blocks.get(op) or (), steps, faults)


def _is_body(node: Any) -> bool:
    """Whether what is written behind a word are items."""
    return isinstance(node, list) and any(isinstance(entry, dict) for entry in node)


def _inputs(node: Any, info: ValidationInfo[Any]) -> tuple[Ref, ...]:
    """The inputs that a merge is given as a list."""
    key, op = info.data["key"], info.data["op"]
    with Faults() as faults:
        return refs(node, Loc(key.file, key.path), f"`{op}`", (op,), faults)


class Item(Placed):
    """One item of a body: one operation, and what stands beside it."""

    # an op, a block, or body | sequential | branches | residual | shared
    op: Annotated[str, *OURS] = Field(alias="\0op")
    key: Annotated[Loc, *OURS] = Field(alias="\0key")  # of the operation
    args: Annotated[dict[str, Value], PlainValidator(_arguments), SkipJsonSchema()] = Field(
        {}, alias="\0args"
    )
    listed: Annotated[tuple[Ref, ...] | None, PlainValidator(_inputs), SkipJsonSchema()] = Field(
        None, alias="\0listed"
    )
    id: Id = Field(None, description="names the item")
    from_: Annotated[From, AfterValidator(_not_both)] = Field(
        None, alias="from", description="inputs other than the previous item"
    )
    repeat: Repeats = Field(None, description="copies: a number, or columns in step")
    when: Condition = Field(True, description="if false, the item is not there")
    shortcut_when: Annotated[Condition, only("residual")] = Field(
        True, description="if false, the residual has no shortcut at all"
    )
    tap: Annotated[Literal["train", "always"] | None, *word("train", "always")] = Field(
        None, description="computed beside the line, in training only or always"
    )
    tie: Annotated[Tie, BeforeValidator(_of_op)] = Field(
        None, description="an earlier op whose weight is used in place of its own"
    )
    expect: OutputShape = Field(None, description="the output shape; ~ is any size")
    freeze: Freeze = Field(
        None, description="its weights and statistics, or those of paths inside, do not change"
    )
    init: AnyInit = Field(None, description="weight initialisation")
    note: Text = Field("", description="a remark")
    # of body, sequential; the main path of a residual
    items: Body = Field((), validation_alias=AliasChoices("body", "sequential", "residual"))
    shortcut: Shortcut = Field(None, description="the other path of a residual; missing = identity")
    branches: Annotated[
        tuple[Branch, ...],
        GetPydanticSchema(lambda _, read: read(_EachBody)),
    ] = Field((), description="the same input into each path")
    merge: Annotated[
        Merge | None,
        PlainValidator(_merge, json_schema_input_type=_How | dict[_How, Any]),
        only("residual", "branches"),
    ] = Field(None, description="how paths join: concat, or {concat: {axis: -1}}")
    target: Shared = Field(
        None, alias="shared", description="an earlier item once more, with the same weights"
    )

    callee: Callee = Field(
        None, alias="call", description="a block by its name, which an expression may give"
    )
    with_: Annotated[dict[str, Any] | None, only("call")] = Field(
        None, alias="with", description="the params of the block that `call` names"
    )

    @property
    def said(self) -> str:
        """The operation, in a sentence."""
        if self.op != "call":
            return self.op
        return f"$({self.callee.text})" if isinstance(self.callee, Expr) else str(self.callee)

    @property
    def given(self) -> Steps:
        """Where its arguments stand."""
        return (*self.loc.path, "with") if self.op == "call" else self.key.path

    @property
    def inputs(self) -> tuple[Ref, ...] | None:
        """`from`, or the list of a merge op; None: the previous item."""
        return self.from_ if self.listed is None else self.listed

    @property
    def refs(self) -> tuple[Ref, ...]:
        """All paths that it names: what it takes, and whose weights."""
        return (*(self.inputs or ()), *(ref for ref in (self.target, self.tie) if ref is not None))

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Reading) -> dict[str, Any]:
        if isinstance(node, str):
            return {"\0op": _word(node, reading), "\0key": Loc(reading.file, path), "\0args": None}
        if not isinstance(node, dict):
            help = "put a path of several items under `body:`" if isinstance(node, list) else ""
            raise wrong_kind("a word or a mapping", help, what="an item")
        op = _operation(node, reading)
        head = {"\0op": op, "\0key": Loc(reading.file, (*path, op), on_key=True)}
        if op == "call":
            return {**head, "\0args": node.get("with"), **node}
        if op in STRUCTURE:
            return {**head, **_MERGES.get(op, {}), **node}
        many = op in REGISTRY and REGISTRY[op].takes == ("*",) and _are_inputs(node[op])
        given = {key: node[key] for key in node if key != op}
        return {**head, "\0listed" if many else "\0args": node[op], **given}


def _are_inputs(node: Any) -> bool:
    """Whether what is written behind a merge are its inputs: a list, or `stages.*`."""
    return isinstance(node, list) or (
        isinstance(node, str) and "*" in node and not node.startswith("$")
    )


def _word(text: str, reading: Reading) -> str:
    """A bare word: an op or block without arguments."""
    if text in STRUCTURE:
        example = {"shared": "a path", "call": "the name of a block"}.get(text, "items")
        raise refuse("E204", f"`{text}` stands without {example}", f"write `{text}: …`")
    if not (reading.known(text) or is_block(text)):
        raise _no_operation(text, reading, on_key=False)
    return text


def _operation(node: dict[str, Any], reading: Reading) -> str:
    """The one operation of an item's keys."""
    others = [key for key in node if key not in BESIDE]
    if len(others) == 1 and (reading.known(others[0]) or is_block(others[0])):
        return others[0]
    if not others:
        raise refuse("E214", "the item has no operation", "add an op, a block, or `body`")
    known = [key for key in others if reading.known(key)]
    with Faults() as faults:
        if len(known) > 1:
            said = f"an item has exactly one operation; {listed(known)} are {len(known)}"
            help = "make each an item of its own, with its own `-`"
            faults.add((known[1],), "E214", said, help, on_key=True)
        known = known or [key for key in others if is_block(key)]
        if not known:
            faults.append(((others[0],), _no_operation(others[0], reading, on_key=True)))
    return known[0]


def _no_operation(word: str, reading: Reading, *, on_key: bool) -> PydanticCustomError:
    """A word that is neither an op nor a block."""
    head, colon, rest = word.partition(":")
    if colon and rest and (reading.known(head) or is_block(head)):
        span, help = (len(head), len(head) + 1), f"write `{head}: {cut(rest)}`"
        return refuse("E115", "a space is missing after `:`", help, span=span)
    joined = "_".join(word.split())
    if joined != word and reading.known(joined):
        said = f"`{word}` is spelled `{joined}` here"
        return refuse("E211", said, f"write `{joined}`", on_key=on_key)
    for sign in ("=", " "):
        head, found, rest = (part.strip() for part in word.partition(sign))
        if rest and (reading.known(head) or is_block(head)):
            said = "`:` is missing" if not found else f"`{found}` stands in place of `: `"
            value = "{…}" if rest.startswith("{") else cut(rest)
            help = f"write `{head}: {value}`"
            return refuse("E104", f"{said} after `{head}`", help, on_key=on_key)
    if "$" in word:
        said = f"`{cut(word)}` is an expression; an operation is a word"
        return refuse("E207", said, on_key=on_key)
    if word in BESIDE:
        said, help = f"`{word}` is a modifier, not an operation", "add an op, a block, or `body`"
        return refuse("E214", said, help, on_key=on_key)
    return refuse("no_operation", word, on_key=on_key)


# ------------------------------------------------------------------ the document


def _lists(self: Block | Spec | Use) -> frozenset[str]:
    """Outputs that are lists: written as one (even of one), or by a pattern."""
    found = (self.outputs or {}).items()
    return frozenset(
        name for name, refs in found if refs[0].many or isinstance(refs[0].loc.path[-1], int)
    )


def _with_body(found: dict[str, Any]) -> None:
    """In the schema: `body`, or `sequential` in its place."""
    keys = found["properties"]
    keys["sequential"] = {**keys["body"], "description": "the same, its items numbered from 0"}
    found["required"].remove("body")
    found["oneOf"] = [{"required": ["body"]}, {"required": ["sequential"]}]


def _bad_block_input(text: str) -> str:
    return bad_input(input_name(text))


def _block_inputs(node: Any) -> Any:
    if node == []:
        help = "leave it out for one input without a name"
        raise refuse("E204", "`inputs` is an empty list", help)
    if not isinstance(node, list):
        raise wrong_kind("a list of names", "for example `inputs: [x, skip]`")
    return node


def _each_once(takes: tuple[str, ...]) -> tuple[str, ...]:
    names = [input_name(text) for text in takes]
    with Faults() as faults:
        first = {name: i for i, name in reversed([*enumerate(names)])}
        for i, name in enumerate(names):
            if first[name] < i:
                faults.add((i,), "E206", f"`{name}` is given twice", "choose another name")
            elif takes[i].endswith("*") and i < len(takes) - 1 and names[i] not in names[i + 1 :]:
                said = f"`{takes[i]}` takes all inputs that are left, so it is the last"
                faults.add((i,), "E204", said, "write it at the end of `inputs`")
            if not takes[i].endswith(("?", "*")) and i and takes[i - 1].endswith("?"):
                said = f"`{takes[i]}` must be given, and `{takes[i - 1]}` before it may be left out"
                faults.add((i,), "E204", said, "write what is optional behind it")
    return takes


class Block(Placed):
    """A reusable part."""

    model_config = ConfigDict(json_schema_extra=_with_body)
    wanted: ClassVar[str] = "a mapping with `body`"

    name: Annotated[str, *OURS] = Field(alias="\0name")
    named_inputs: Annotated[bool, *OURS] = Field(alias="\0named")  # whether `inputs` was written
    numbered: Annotated[bool, *OURS] = Field(alias="\0numbered")  # `sequential`
    cut: Annotated[tuple[Ref, ...], *OURS] = Field((), alias="\0cut")  # outputs that a `use` names
    params: Defaults = Field({}, description="named values; `required` has no default")
    slots: Annotated[
        tuple[Annotated[str, named(_bad_block_input, on_key=False), takes("a name", str)], ...],
        AfterValidator(_each_once),
        BeforeValidator(_block_inputs),
        Spelt(lambda found: {**found, "minItems": 1}),
    ] = Field(
        ("input",),
        alias="inputs",
        description="names of its inputs: `skip?` may be left out, `xs*` takes all that are left",
    )
    items: Body = Field(validation_alias=AliasChoices("body", "sequential"))
    outputs: Outputs = Field(None, description="outputs by name; default: the last item")
    note: Text = Field("", description="a remark")

    lists = cached_property(_lists)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of its inputs, without the signs behind them."""
        return tuple(input_name(text) for text in self.slots)

    @property
    def rest(self) -> str:
        """The input that is a list, if one is."""
        return self.inputs[-1] if self.slots[-1].endswith("*") else ""

    @property
    def optional(self) -> frozenset[str]:
        """The inputs that a call may leave out."""
        return frozenset(input_name(text) for text in self.slots if text.endswith("?"))

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Reading) -> dict[str, Any]:
        found = super().spelt_out(node, path, reading)
        head = {"\0name": path[-1], "\0named": "inputs" in node, "\0numbered": "body" not in node}
        return head | found

    @cached_property
    def inherited(self) -> Mapping[str, frozenset[str]]:
        """By param, what its default reads of the document's params."""
        found: dict[str, frozenset[str]] = {}
        above = set(self.inputs)
        for name, default in self.params.items():
            found[name] = frozenset(reads(default) - above)
            above.add(name)
        return found


class Input(Placed):
    """One input of the network: a shape without the batch axis, and a dtype."""

    shape: Shape
    dtype: Annotated[Literal["float", "int", "bool"], *word("float", "int", "bool")] = "float"

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Reading) -> dict[str, Any]:
        if node == []:
            help = "for example `[3, 224, 224]`; one number for each sample is `{shape: []}`"
            raise refuse("E204", "the input has no axes", help)
        return node if isinstance(node, dict) else {"shape": node}


def _one_by_one(outputs: dict[str, tuple[Ref, ...]] | None) -> Any:
    with Faults() as faults:
        for name, paths in (outputs or {}).items():
            for ref in paths:
                if ref.many:
                    said = f"`{ref.path.text}` is a pattern; what a file is cut to is named"
                    faults.add((name,), "E205", said, "write the paths out: `[layer1, layer2]`")
    return outputs


class Use(Placed):
    """Another spec file, taken in as a block."""

    file: Text
    variant: Text | None = None
    outputs: Annotated[Outputs, AfterValidator(_one_by_one)] = None
    spec: Annotated[Any, *OURS] = Field(None, alias="\0spec")  # the file, read and parsed

    lists = cached_property(_lists)

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Reading) -> dict[str, Any]:
        found = {"file": node} if isinstance(node, str) else {} if node is None else node
        spec = reading.used.get(str(path[-1]))
        return {"\0spec": spec, **super().spelt_out(found, path, reading)}


def _each_at(*steps: str, spelt: Any) -> BeforeValidator:
    """Each entry of a mapping, `spelt` so, with its place."""

    def place(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        return {key: Located(entry, (*steps, key)) for key, entry in node.items()}

    return BeforeValidator(place, json_schema_input_type=spelt)


def _inputs_at(node: Any) -> Any:
    if node == {}:
        raise refuse("E204", "`input` is empty", "for example `input: [3, 224, 224]`", on_key=True)
    if isinstance(node, dict) and "shape" not in node:
        return {name: Located(entry, ("input", name)) for name, entry in node.items()}
    return {"input": Located(node, ("input",))}


def _head_path(text: str) -> str:
    if bad_id(text.split(".")[0]) or not is_path(text):
        raise refuse("E205", f"`{cut(text)}` is not a path: names and numbers with dots between")
    return text


def _version(node: Any) -> int:
    if type(node) is not int or node != 1:
        said = f"`spec` is {kind(node)}; this release reads version 1, a number"
        raise refuse("E226", said, "write `1`")
    return node


_Input = Input | Annotated[Shape, Spelt(lambda found: {**found, "minItems": 1})]
_Named = Annotated[dict[str, _Input], keys(ID)]
_Inputs = dict[Annotated[str, named(bad_input)], Input]
_Uses = dict[Annotated[str, named(bad_block)], Use]
_Blocks = dict[Annotated[str, named(bad_block)], Block]


class Spec(Placed):
    """archspec, version 1."""

    model_config = ConfigDict(json_schema_extra=_with_body)

    numbered: Annotated[bool, *OURS] = Field(alias="\0numbered")  # `sequential`
    named_inputs: Annotated[bool, *OURS] = Field(alias="\0named")
    # by file name: this file's Source and those of all files it uses
    sources: Annotated[Mapping[str, Source], *OURS] = Field({}, alias="\0sources")

    spec: Annotated[Literal[1], PlainValidator(_version), WithJsonSchema({"const": 1})] = Field(
        description="version of the language"
    )
    name: Annotated[
        Text, named(bad_document, on_key=False), WithJsonSchema({"type": "string", "pattern": ID})
    ] = Field("", description="identifier; names the file, the class and the diagram")
    title: Text = Field("", description="one line: what it is")
    cite: Text = Field("", description="one line: the paper")
    params: Defaults = Field({}, description="named values with defaults, set from outside")
    variants: Annotated[dict[Annotated[str, named(bad_variant)], Values], *MAPPING] = Field(
        {}, description="named sets of params"
    )
    inputs: Annotated[
        _Inputs,
        BeforeValidator(_inputs_at, json_schema_input_type=_Input | _Named),
    ] = Field(
        alias="input",
        description="[3, 224, 224], or several by name; the batch axis is never written",
    )
    use: Annotated[_Uses, _each_at("use", spelt=dict[str, Use | str]), keys(BLOCK), *MAPPING] = (
        Field({}, description="other spec files taken in as blocks")
    )
    blocks: Annotated[
        _Blocks, _each_at("blocks", spelt=dict[str, Block]), keys(BLOCK), *MAPPING
    ] = Field({}, description="reusable parts")
    items: Body = Field(
        validation_alias=AliasChoices("body", "sequential"),
        description="the network, read top to bottom",
    )
    outputs: Outputs = Field(None, description="outputs by name; default: the last item")
    head: Annotated[
        tuple[Annotated[Text, AfterValidator(_head_path)], ...],
        BeforeValidator(
            lambda node: node if isinstance(node, list) else [] if node is None else [node],
            json_schema_input_type=str | list[str] | None,
        ),
    ] = Field((), description="where a weight that does not fit is started afresh")
    init: InitByOp = Field(None, description="weight initialisation by op")
    weights: Weights | None = Field(None, description="where published weights come from")
    expect: Expected = Field({}, description="totals to check, by variant")
    warnings: Warnings = Field(frozenset(), validation_alias=AliasPath("expect", "warnings"))

    lists = cached_property(_lists)

    @classmethod
    def spelt_out(cls, node: dict[str, Any], path: Steps, reading: Reading) -> dict[str, Any]:
        given = node.get("input")
        named = isinstance(given, dict) and "shape" not in given
        head = {"name": reading.name, "\0named": named, "\0numbered": "body" not in node}
        return head | node

    @cached_property
    def inherits(self) -> bool:
        """Whether a block's default reads the document's params."""
        return any(names for block in self.blocks.values() for names in block.inherited.values())
