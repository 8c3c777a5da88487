"""`weights` as written → where published weights come from, and the table of renames.

torchvision: ResNet50_Weights.IMAGENET1K_V2
rename: {"fc.": head.}
→  Weights(torchvision={"resnet50": "ResNet50_Weights.IMAGENET1K_V2"}, rename=(Rename(…),))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainValidator,
    StrictBool,
    StrictInt,
    ValidationInfo,
    WithJsonSchema,
)

from archspec.expressions import Template
from archspec.language.kinds import MAPPING, Form, Text
from archspec.language.refusals import Faults, Steps, expressed, refuse
from archspec.language.renames import Pattern, Rename, names, pattern
from archspec.text.words import cut

SOURCES = ("torchvision", "timm", "file")


def _matching(regex: str, said: str, help: str) -> tuple[Any, ...]:
    """A text of a form that a source asks for."""

    def check(text: str) -> str:
        if not re.fullmatch(regex, text):
            raise refuse("E228", said.format(cut(text)), help)
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


class Published(Form):
    """A file of weights: a path or an address, and its SHA-256."""

    help: ClassVar[str] = "`{path: net.safetensors, sha256: …}`"
    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["path"]}, {"required": ["url"]}]}
    )

    path: Annotated[Text, AfterValidator(_path)] = ""
    url: Annotated[
        Text, *_matching(r"https?://\S+", "`{}` is no address", "it begins with https://")
    ] = ""
    sha256: Annotated[
        Text,
        *_matching(
            "[0-9a-f]{64}",
            "`sha256` is `{}`; it is 64 digits 0-9 and a-f",
            "`sha256sum FILE` prints it",
        ),
    ]

    @classmethod
    def spelt_out(cls, node: Any, path: Steps, reading: Any) -> dict[str, Any]:
        found = super().spelt_out(node, path, reading)
        if ("path" in found) == ("url" in found) and found.keys() <= cls.model_fields.keys():
            said = "`file` needs exactly one of `path` and `url`"
            raise refuse("E228", said, "for example `{path: net.safetensors, sha256: …}`")
        return found


def _by_variant(node: Any, info: ValidationInfo[Any]) -> Any:
    """What is written without a variant is for the spec itself."""
    one = Published.model_fields if info.field_name == "file" else {}
    if isinstance(node, dict) and node and node.keys().isdisjoint(one):
        return node
    return {info.context.name: node}


_Enum = Annotated[
    Text,
    *_matching(
        "[A-Za-z][A-Za-z0-9_]*[.][A-Za-z][A-Za-z0-9_]*",
        "`{}` is not an entry of a weights enum",
        "an entry of a weights enum, for example `ResNet50_Weights.IMAGENET1K_V2`",
    ),
]
_Model = Annotated[
    Text,
    *_matching(
        "[a-z][A-Za-z0-9_]*([.][A-Za-z0-9_]+)*",
        "`{}` is not the name of a model",
        "the name of a model, for example `resnet50.a1_in1k`",
    ),
]

# ------------------------------------------------------------------ the table of renames


def _whole(wanted: str, rule: Callable[[list[int]], bool], says: str, help: str) -> PlainValidator:
    """Whole numbers that keep a rule."""

    def check(value: Any, info: ValidationInfo[Any]) -> tuple[int, ...]:
        if not isinstance(value, list) or not value or any(type(n) is not int for n in value):
            raise refuse("E229", f"is not {wanted}", what=True)
        if not rule(value):
            raise refuse("E229", f"`{info.field_name}` is {value}; {says}", help)
        return tuple(value)

    return PlainValidator(check, json_schema_input_type=list[int])


class Entry(Form):
    """What one tensor, or each below a part of a name, is made of."""

    from_: Annotated[
        list[str],
        BeforeValidator(lambda node: node if isinstance(node, list) and node else [node]),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1}]}),
    ] = Field(alias="from")
    axis: Annotated[StrictInt, Field(ge=0, lt=16)] = 0
    part: Annotated[
        tuple[int, ...] | None,
        _whole(
            "[k, n]: part k of n, k from 0",
            lambda part: len(part) == 2 and 0 <= part[0] < part[1],
            "it is [k, n], k from 0 and below n",
            "`part: [0, 3]` is the first of three",
        ),
    ] = None
    order: Annotated[
        tuple[int, ...] | None,
        _whole(
            "the axes in their new order",
            lambda order: sorted(order) == list(range(len(order))),
            "it names each axis from 0 once",
            "`order: [1, 0]` exchanges two",
        ),
    ] = None
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
                rest = entry.axis, entry.part, entry.order, entry.reshape
                found.append(Rename(ours, theirs, *rest))
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


_Ignored = Annotated[
    Text,
    *_matching(
        r"[A-Za-z0-9_.*-]*[A-Za-z0-9_][A-Za-z0-9_.*-]*",
        "`{}` is no name of a tensor",
        'for example `ignore: ["*.relative_position_index"]`; `*` stands for any text',
    ),
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

    ignore: Annotated[
        tuple[_Ignored, ...],
        BeforeValidator(
            lambda node: node if isinstance(node, list) else [node],
            json_schema_input_type=_Ignored | list[_Ignored],
        ),
    ] = Field((), description="tensors of a source that are no weights; * stands for any text")

    @property
    def sources(self) -> Mapping[str, Mapping[str, str | Published]]:
        """What is fetched, by source and variant."""
        return {key: getattr(self, key) for key in SOURCES if key in self.model_fields_set}
