"""`weights` as written → where published weights come from, and the table of renames.

    torchvision: {resnet50: ResNet50_Weights.IMAGENET1K_V2}
    rename: {"fc.": head.}
    Section(torchvision={"resnet50": "ResNet50_Weights.IMAGENET1K_V2"}, rename=[Rename(fc. -> head.)])
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
)
from pydantic_core import PydanticCustomError

from archspec.expressions import ExpressionError, Template
from archspec.language.kinds import (
    MAPPING,
    Form,
    Steps,
    Text,
    all_of,
    is_mapping,
    of_expression,
    refuse,
    wrong_kind,
)
from archspec.language.renames import Pattern, Rename, names, pattern
from archspec.language.sentences import cut

SOURCES = ("torchvision", "timm", "file")
FILE = ("path", "url", "sha256")
ENTRY = ("from", "axis", "part", "order", "reshape")
_SHA = re.compile(r"[0-9a-f]{64}")


def _matching(regex: str, wanted: str) -> AfterValidator:
    """A text of a form that a source asks for."""

    def check(text: str) -> str:
        if not re.fullmatch(regex, text, re.ASCII):
            raise refuse("E228", f"`{cut(text)}` is not {wanted.partition(',')[0]}", wanted)
        return text

    return AfterValidator(check)


def _path(path: str) -> str:
    """A path below the file's folder."""
    wrong = ""
    if "\\" in path or path.startswith("~") or ":" in path.split("/")[0]:
        wrong = f"`{path}` is no plain relative path; its parts are divided by `/`"
    elif path.startswith("/") or ".." in path.split("/"):
        wrong = f"`{path}` leads out of the folder of this file"
    if wrong:
        raise refuse("E223", wrong, "give a path relative to this file, at or below its folder")
    return path


def _address(url: str) -> str:
    if not re.match(r"https?://\S+$", url):
        raise refuse("E228", f"`{cut(url)}` is no address", "it begins with https://")
    return url


def _digest(sha: str) -> str:
    if not _SHA.fullmatch(sha):
        said = f"`sha256` is `{cut(sha)}`; it is 64 digits 0-9 and a-f"
        raise refuse("E228", said, "`sha256sum FILE` prints it")
    return sha


class Published(Form):
    """A file of weights: a path or an address, and its SHA-256."""

    path: Annotated[Text, AfterValidator(_path)] = Field(None)
    url: Annotated[Text, AfterValidator(_address)] = Field(None)
    sha256: Annotated[Text, AfterValidator(_digest)]

    @classmethod
    def spelt_out(cls, node: Any) -> Any:
        if not isinstance(node, dict):
            raise wrong_kind("a mapping", "`{path: net.safetensors, sha256: …}`", what="`file`")
        if ("path" in node) == ("url" in node) and not set(node) - set(FILE):
            said = "`file` needs exactly one of `path` and `url`"
            raise refuse("E228", said, "for example `{path: net.safetensors, sha256: …}`")
        return node


def _is_file(node: Any) -> str:
    """Whether the files are given by variant."""
    return is_mapping(None if isinstance(node, dict) and set(node) & set(FILE) else node or None)


_Enum = Annotated[
    Text,
    _matching(
        r"[A-Za-z]\w*\.[A-Za-z]\w*",
        "an entry of a weights enum, for example `ResNet50_Weights.IMAGENET1K_V2`",
    ),
]
_Model = Annotated[
    Text, _matching(r"[a-z]\w*(\.\w+)*", "the name of a model, for example `resnet50.a1_in1k`")
]

# ------------------------------------------------------------------ the table of renames


def _whole(wanted: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, list) and value and all(type(n) is int for n in value):
            return value
        raise refuse("E229", f"is not {wanted}", what=True)

    return BeforeValidator(check)


def _part(part: list[int]) -> list[int]:
    if len(part) != 2 or not 0 <= part[0] < part[1]:
        said = f"`part` is {part}; it is [k, n], k from 0 and below n"
        raise refuse("E229", said, "`part: [0, 3]` is the first of three")
    return part


def _order(order: list[int]) -> list[int]:
    if sorted(order) != list(range(len(order))):
        said = f"`order` is {order}; it names each axis from 0 once"
        raise refuse("E229", said, "`order: [1, 0]` exchanges two")
    return order


def _axis(value: Any) -> Any:
    if type(value) is not int or not 0 <= value < 16:
        raise wrong_kind("a whole number from 0")
    return value


def _flag(value: Any) -> Any:
    if not isinstance(value, bool):
        raise wrong_kind("true or false")
    return value


def _sources(node: Any) -> Any:
    return node if isinstance(node, list) and node else [node]


def _name(node: Any) -> Any:
    if not isinstance(node, str):
        raise wrong_kind("text", "put it in quotes", what="a name")
    return node


class Entry(Form):
    """What one tensor, or each below a part of a name, is made of."""

    short: ClassVar[Any] = str | Annotated[list[str], Field(min_length=1)]

    from_: Annotated[
        list[Annotated[str, BeforeValidator(_name)]],
        BeforeValidator(_sources, json_schema_input_type=str | list[str]),
    ] = Field(alias="from")
    axis: Annotated[StrictInt, Field(ge=0, lt=16), BeforeValidator(_axis)] = 0
    part: Annotated[
        list[Annotated[StrictInt, Field(ge=0)]],
        AfterValidator(_part),
        _whole("[k, n]: part k of n, k from 0"),
    ] = []
    order: Annotated[
        list[Annotated[StrictInt, Field(ge=0)]],
        AfterValidator(_order),
        _whole("the axes in their new order"),
    ] = []
    reshape: Annotated[StrictBool, BeforeValidator(_flag)] = False

    @classmethod
    def spelt_out(cls, node: Any) -> Any:
        return node if isinstance(node, dict) else {"from": node}


def _table(table: dict[str, Entry]) -> tuple[Rename, ...]:
    faults: list[tuple[Steps, PydanticCustomError]] = []
    found = []
    for left, entry in table.items():
        try:
            ours = pattern(left)
        except ExpressionError as bad:
            at = bad.start, bad.stop
            wrong = refuse(bad.code, bad.message, bad.help, on_key=True, span=at)  # type: ignore[arg-type]
            faults.append(((left,), wrong))
            continue
        theirs = []
        for i, text in enumerate(entry.from_):
            try:
                theirs.append(_theirs(ours, text))
            except PydanticCustomError as wrong:
                faults.append(((left, "from", i), wrong))
        pair = (entry.part[0], entry.part[1]) if entry.part else None
        order = tuple(entry.order) or None
        found.append(Rename(ours, tuple(theirs), entry.axis, pair, order, entry.reshape))
    all_of(faults)
    return tuple(found)


def _theirs(ours: Pattern, text: str) -> Template:
    try:
        right = names(text, ours.variables)
    except ExpressionError as bad:
        raise of_expression(bad) from None
    if ours.prefix != (not text or text.endswith(".")):
        said = f"`{cut(ours.text)}` and `{cut(text)}` are not both parts of names"
        help = "a part of a name ends in `.` on both sides, a whole name on neither"
        raise refuse("E229", said, help)
    return right


class Section(Form):
    """The section `weights`: sources for the spec as it stands or by variant, and renames."""

    help: ClassVar[str] = "for example `{torchvision: ResNet50_Weights.IMAGENET1K_V2}`"

    torchvision: Annotated[
        Annotated[dict[str, _Enum], Tag("a mapping")] | Annotated[_Enum, Tag("no mapping")],
        Discriminator(is_mapping),
    ] = Field(None, description="members of torchvision's enums")
    timm: Annotated[
        Annotated[dict[str, _Model], Tag("a mapping")] | Annotated[_Model, Tag("no mapping")],
        Discriminator(is_mapping),
    ] = Field(None, description="models of timm")
    file: Annotated[
        Annotated[dict[str, Published], Tag("a mapping")] | Annotated[Published, Tag("no mapping")],
        Discriminator(_is_file),
    ] = Field(None, description="a file of weights")
    rename: Annotated[dict[str, Entry], AfterValidator(_table), *MAPPING] = Field(
        {}, description="a name here: what it is in the source"
    )
