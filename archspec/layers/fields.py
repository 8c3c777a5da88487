"""One field of an op: value as written → checked value, or what is wrong with it."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from archspec.expressions.sym import Truth
from archspec.text.words import joined, listed, meant

_MANY = 64  # entries of a list that describes one op; longer ones are a mistake


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()


class Wrong(ValueError):  # noqa: N818 (said of a value)
    """A value breaks its rule: the end of a sentence that starts with the field and its value."""

    def __init__(self, rule: str, help: str = "") -> None:
        super().__init__(rule)
        self.rule, self.help = rule, help


class Kind:
    """What values a field takes."""

    says: str = "a value"

    def check(self, value: Any) -> Any:
        """The value in its one form (lists become tuples). Raises Wrong."""
        return value

    def schema(self) -> dict[str, Any]:
        """JSON schema of the value as written (without expressions)."""
        return {}


class Whole(Kind):
    """A whole number in a range; `true` is not a number, `2.0` is not whole."""

    def __init__(self, least: int | None = None, most: int | None = None) -> None:
        self.least, self.most = least, most
        self.says = "a whole number" + _range(least, most)

    def check(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            whole = isinstance(value, float) and value.is_integer()
            raise Wrong(f"it takes {self.says}", "use `//` where it is computed" if whole else "")
        if abs(value) >= 2**62:
            raise Wrong(f"it takes {self.says}, below 2^62")
        if self.least is not None and value < self.least:
            raise Wrong(f"it takes {self.says}")
        if self.most is not None and value > self.most:
            raise Wrong(f"it takes {self.says}")
        return value

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "integer"}
        if self.least is not None:
            found["minimum"] = self.least
        if self.most is not None:
            found["maximum"] = self.most
        return found


class Number(Kind):
    """A finite number in a closed range, or above `above`."""

    def __init__(
        self, least: float | None = None, most: float | None = None, above: float | None = None
    ) -> None:
        self.least, self.most, self.above = least, most, above
        self.says = "a number" + _range(least, most, above)

    def check(self, value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Wrong(f"it takes {self.says}")
        if isinstance(value, int) and abs(value) >= 2**62:
            raise Wrong(f"it takes {self.says}, below 2^62")
        if not math.isfinite(value):
            raise Wrong(f"it takes {self.says}, finite")
        low = self.least is not None and value < self.least
        high = self.most is not None and value > self.most
        if low or high or (self.above is not None and value <= self.above):
            raise Wrong(f"it takes {self.says}")
        return value

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "number"}
        limits = (("minimum", self.least), ("maximum", self.most), ("exclusiveMinimum", self.above))
        return found | {k: v for k, v in limits if v is not None}


def _range(least: float | None, most: float | None, above: float | None = None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    parts = [] if above is None else [f" above {above}"]
    parts += [] if least is None else [f" of at least {least}"]
    parts += [] if most is None else [f" of at most {most}"]
    return ",".join(parts)


class Flag(Kind):
    """true or false."""

    says = "true or false"

    def check(self, value: Any) -> bool:
        if not isinstance(value, (bool, Truth)):
            raise Wrong(f"it takes {self.says}")
        return value  # type: ignore[return-value]

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Word(Kind):
    """One of some words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.says = listed(words, "or")

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            help = meant(value, self.words) if isinstance(value, str) else ""
            raise Wrong(f"it takes {self.says}", help)
        return value

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


class Null(Kind):
    """null."""

    says = "null"

    def check(self, value: Any) -> None:
        if value is not None:
            raise Wrong("it takes null")

    def schema(self) -> dict[str, Any]:
        return {"type": "null"}


class Many(Kind):
    """A list of values of one kind, at least one; becomes a tuple."""

    def __init__(self, kind: Kind, of: str = "a list", most: int = _MANY) -> None:
        self.kind, self.most = kind, most
        self.says = f"{of}, each entry {kind.says}"

    def check(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or not value:
            raise Wrong(f"it takes {self.says}")
        if len(value) > self.most:
            raise Wrong(f"it takes {self.says}, at most {self.most} of them")
        return tuple(self.kind.check(v) for v in value)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "minItems": 1, "items": self.kind.schema()}


class Either(Kind):
    """A value of the first kind that takes it."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds
        self.says = joined((k.says for k in kinds), "or")

    def check(self, value: Any) -> Any:
        help = ""
        for kind in self.kinds:
            try:
                return kind.check(value)
            except Wrong as wrong:
                help = wrong.help or help
        raise Wrong(f"it takes {self.says}", help)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [k.schema() for k in self.kinds]}


class PerAxis(Either):
    """A whole number for all spatial axes, or a list of one per axis."""

    def __init__(self, least: int) -> None:
        one = Whole(least)
        super().__init__(one, Many(one, most=3))
        self.says = f"{one.says}, or a list of one per axis"


class Padding(Either):
    """`padding`: a number, one per axis, or a word of the convolution-arithmetic literature."""

    words: ClassVar[tuple[str, ...]] = ("valid", "half", "same", "full", "causal")

    def __init__(self) -> None:
        super().__init__(Whole(0), Many(Whole(0), most=3), Word(*self.words))
        words = listed(self.words, "or")
        self.says = f"a whole number of at least 0, a list of one per axis, or {words}"


class Field:
    """A parameter of an op: its kind, its default, one line of documentation."""

    __slots__ = ("default", "doc", "kind", "name")

    def __init__(self, kind: Kind, default: Any, doc: str) -> None:
        self.kind, self.default, self.doc = kind, default, doc
        self.name = ""

    def check(self, value: Any) -> Any:
        """The value in its one form. Raises Wrong."""
        if value is None and self.default is None:
            return None
        return self.kind.check(value)

    def schema(self) -> dict[str, Any]:
        """JSON schema of the value as written (without expressions)."""
        kind = self.kind.schema()
        found: dict[str, Any] = (
            {"anyOf": [kind, {"type": "null"}]} if self.default is None else dict(kind)
        )
        if self.doc:
            found["description"] = self.doc
        if self.default is not REQUIRED and self.default is not None:
            found["default"] = (
                list(self.default) if isinstance(self.default, tuple) else self.default
            )
        return found


def field(kind: Kind, *, default: Any = REQUIRED, doc: str = "") -> Any:
    """A parameter of an op; without a default it is required."""
    return Field(kind, default, doc)


DIM = Whole(1)
COUNT = Whole(0)
AXIS = Whole()
FLAG = Flag()
PROBABILITY = Number(0, 1)
POSITIVE = Number(above=0)
NUMBER = Number()
EPS = Number(0)
SHAPE = Many(DIM)
WINDOW = PerAxis(1)
PADDING = Padding()
