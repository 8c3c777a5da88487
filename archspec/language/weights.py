"""`weights` as written → where published weights come from, and the table of renames.

torchvision: ResNet50_Weights.IMAGENET1K_V2
rename: {"fc.": head.}
→  Weights(torchvision={"resnet50": "ResNet50_Weights.IMAGENET1K_V2"}, rename=(Rename(…),))
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    StrictBool,
    StrictInt,
    ValidationInfo,
    WithJsonSchema,
)

from archspec.expressions import Template
from archspec.language.kinds import MAPPING, Form, Text
from archspec.language.refusals import Faults, Steps, expressed, refuse, wrong_kind
from archspec.language.renames import Pattern, Rename, names, pattern
from archspec.text.words import cut

SOURCES = ("torchvision", "timm", "file")
FILE = ("path", "url", "sha256")
ENTRY = ("from", "axis", "part", "order", "reshape")
_SHA = re.compile(r"[0-9a-f]{64}")


def _matching(regex: str, wanted: str) -> tuple[Any, ...]:
    """A text of a form that a source asks for."""

    def check(text: str) -> str:
        if not re.fullmatch(regex, text, re.ASCII):
            raise refuse("E228", f"`{cut(text)}` is not {wanted.partition(',')[0]}", wanted)
        return text

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{regex}$"})


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

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["path"]}, {"required": ["url"]}]}
    )

    path: Annotated[Text, AfterValidator(_path)] = ""
    url: Annotated[
        Text, AfterValidator(_address), WithJsonSchema({"type": "string", "pattern": "^https?://"})
    ] = ""
    sha256: Annotated[
        Text,
        AfterValidator(_digest),
        WithJsonSchema({"type": "string", "pattern": f"^{_SHA.pattern}$"}),
    ]

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Any) -> dict[str, Any]:
        if not isinstance(node, dict):
            raise wrong_kind("a mapping", "`{path: net.safetensors, sha256: …}`", what="`file`")
        if ("path" in node) == ("url" in node) and not set(node) - set(FILE):
            said = "`file` needs exactly one of `path` and `url`"
            raise refuse("E228", said, "for example `{path: net.safetensors, sha256: …}`")
        return node


def _by_variant(node: Any, info: ValidationInfo[Any]) -> Any:
    """What is written without a variant is for the spec itself."""
    file = info.field_name == "file"
    if isinstance(node, dict) and node and not (file and set(node) & set(FILE)):
        return node
    return {info.context.name: node}


_Enum = Annotated[
    Text,
    *_matching(
        r"[A-Za-z]\w*\.[A-Za-z]\w*",
        "an entry of a weights enum, for example `ResNet50_Weights.IMAGENET1K_V2`",
    ),
]
_Model = Annotated[
    Text, *_matching(r"[a-z]\w*(\.\w+)*", "the name of a model, for example `resnet50.a1_in1k`")
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


class Entry(Form):
    """What one tensor, or each below a part of a name, is made of."""

    from_: Annotated[
        list[str],
        BeforeValidator(lambda node: node if isinstance(node, list) and node else [node]),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1}]}),
    ] = Field(alias="from")
    axis: Annotated[StrictInt, Field(ge=0, lt=16)] = 0
    part: Annotated[
        list[StrictInt], AfterValidator(_part), _whole("[k, n]: part k of n, k from 0")
    ] = Field([])
    order: Annotated[
        list[StrictInt], AfterValidator(_order), _whole("the axes in their new order")
    ] = Field([])
    reshape: StrictBool = False

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Any) -> dict[str, Any]:
        return node if isinstance(node, dict) else {"from": node}


def _table(table: dict[str, Entry]) -> tuple[Rename, ...]:
    found = []
    with Faults() as faults:
        for left, entry in table.items():
            ours = faults.at((left,), _ours, left)
            if ours is not None:
                theirs = tuple(
                    faults.at((left, "from", i), _theirs, ours, text)
                    for i, text in enumerate(entry.from_)
                )
                part, order = tuple(entry.part) or None, tuple(entry.order) or None
                found.append(Rename(ours, theirs, entry.axis, part, order, entry.reshape))
    return tuple(found)


def _ours(text: str) -> Pattern:
    found: Pattern = expressed(pattern, text, on_key=True)
    return found


def _theirs(ours: Pattern, text: str) -> Template:
    right: Template = expressed(names, text, ours.variables)
    if ours.prefix != (not text or text.endswith(".")):
        said = f"`{cut(ours.text)}` and `{cut(text)}` are not both parts of names"
        help = "a part of a name ends in `.` on both sides, a whole name on neither"
        raise refuse("E229", said, help)
    return right


_Names = str | Annotated[list[str], Field(min_length=1)]
_Table = Annotated[
    dict[str, Entry],
    AfterValidator(_table),
    BeforeValidator(lambda node: node, json_schema_input_type=dict[str, Entry | _Names]),
    *MAPPING,
]


class Weights(Form):
    """The section `weights`: by source and variant what to fetch; the table of renames."""

    help: ClassVar[str] = "for example `{torchvision: ResNet50_Weights.IMAGENET1K_V2}`"

    torchvision: Annotated[
        dict[str, _Enum],
        BeforeValidator(_by_variant, json_schema_input_type=_Enum | dict[str, _Enum]),
    ] = Field({}, description="members of torchvision's enums")
    timm: Annotated[
        dict[str, _Model],
        BeforeValidator(_by_variant, json_schema_input_type=_Model | dict[str, _Model]),
    ] = Field({}, description="models of timm")
    file: Annotated[
        dict[str, Published],
        BeforeValidator(_by_variant, json_schema_input_type=Published | dict[str, Published]),
    ] = Field({}, description="a file of weights")
    rename: Annotated[tuple[Rename, ...], GetPydanticSchema(lambda _, read: read(_Table))] = Field(
        (), description="a name here: what it is in the source"
    )

    @property
    def sources(self) -> Mapping[str, Mapping[str, str | Published]]:
        """What is fetched, by source and variant."""
        return {key: getattr(self, key) for key in SOURCES if key in self.model_fields_set}
