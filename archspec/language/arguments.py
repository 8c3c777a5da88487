"""The value of an operation key → arguments by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archspec.language.form import Path
from archspec.language.models import REQUIRED, Ref, Value
from archspec.language.operations import BESIDE, Around, Head, Operations
from archspec.layers import examine
from archspec.layers.complaints import no_parameter
from archspec.text.words import cut, did_you_mean, listed

if TYPE_CHECKING:
    from archspec.layers.base import Layer


class Arguments(Operations):
    """Reads the arguments of ops and block calls, and checks those that are no expressions."""

    def arguments(
        self, op: str, node: Any, at: Path, around: Around, *, excused: bool = False
    ) -> tuple[dict[str, Value], tuple[Ref, ...] | None]:
        """Arguments by name, and the inputs where the value is a merge's list.

        `excused`: a parameter stands elsewhere, which is a fault already; none is missing then.
        """
        if op in around.blocks:
            return self.call(op, around.blocks[op], node, at, around, excused), None
        cls = self.ops[op]
        if cls.takes == ("*",) and isinstance(node, list):
            self.checked(op, {}, at, {})
            return {}, self.form.refs(node, at, f"`{op}`", around.sight)
        if cls.takes == ("*",) and isinstance(node, str) and "$" not in node:
            self.form.fault(
                "E204",
                f"`{op}` takes its inputs as a list",
                at,
                f"write `{op}: [prev, {cut(node)}]`",
            )
            return {}, None
        before = len(self.form.faults)
        given, places = self.named(op, cls, node, at)
        excused = excused or len(self.form.faults) > before
        before = len(self.form.faults)
        sight = around.sight
        args = {
            key: self.form.value(value, places[key], sight.values(), sight)
            for key, value in given.items()
        }
        if len(self.form.faults) > before:
            return args, None
        if excused:
            self.checked(op, args, at, places, excused=True)
            return args, None
        self.checked(op, args, at, places)
        return args, None

    def named(
        self, op: str, cls: type[Layer], node: Any, at: Path
    ) -> tuple[dict[str, Any], dict[str, Path]]:
        """The parameters as written, under their names."""
        if node is None:
            return {}, {}
        main = cls.main()
        if not isinstance(node, dict) or (main and _is_main(cls, main, node)):
            if main is None:
                self.form.fault("E208", f"`{op}` takes no parameters", at, f"write `{op}` alone")
                return {}, {}
            return {main: node}, {main: at}
        given = {}
        for key, value in node.items():
            if key in cls.model_fields:
                given[key] = value
            else:
                self.not_a_field(op, cls, key, (*at, key))
        return given, {key: (*at, key) for key in given}

    def not_a_field(self, op: str, cls: type[Layer], key: str, path: Path) -> None:
        if key in BESIDE:
            self.belongs_beside(key, op, path)
            return
        bad = no_parameter(cls, key)
        self.form.fault(bad.code, bad.message, path, bad.help, on_key=True)

    def belongs_beside(self, key: str, op: str, path: Path) -> None:
        message = f"`{key}` belongs beside `{op}`, not inside its parameters"
        self.form.fault("E212", message, path, f"write `{{{op}: …, {key}: …}}`", on_key=True)

    def checked(
        self, op: str, args: dict[str, Value], at: Path, places: dict[str, Path],
        *, excused: bool = False,
    ) -> None:  # fmt: skip
        """Notes what is wrong with the arguments, as far as they are known."""
        shown = f"{op}{args!r}"
        if shown not in self._checked:
            self._checked[shown] = examine(op, args)
        for bad in self._checked[shown]:
            if excused and bad.code == "E209":
                continue
            known = bad.field in places
            path = places[bad.field] if known and bad.field else at
            self.form.fault(bad.code, bad.message, path, bad.help, on_key=not known)

    def call(
        self, op: str, head: Head, node: Any, at: Path, around: Around, excused: bool
    ) -> dict[str, Value]:
        """Arguments of a block call."""
        form, sight = self.form, around.sight
        params = head.params
        sees = sight.values()
        if not isinstance(node, dict):
            given, places = self.positional(op, params, node, at)
        else:
            given, places = {}, {key: (*at, key) for key in node}
            for key, value in node.items():
                if key in BESIDE:
                    self.belongs_beside(key, op, places[key])
                elif params is not None and key not in params:
                    self.no_parameter(op, key, params, places[key])
                else:
                    given[key] = value
        missing = [
            key
            for key, default in (params or {}).items()
            if default is REQUIRED and key not in given
        ]
        if (
            missing and not excused and len(given) == len(places)
        ):  # a misspelt one is missing only once
            form.fault(
                "E209",
                f"`{op}` needs {listed(missing)}",
                at,
                f"write `{op}: {{{missing[0]}: …}}`",
                on_key=True,
            )
        return {key: form.value(value, places[key], sees, sight) for key, value in given.items()}

    def no_parameter(self, op: str, key: str, params: Mapping[str, Value], path: Path) -> None:
        """A parameter that a block does not declare; the block may read it all the same."""
        if not params and op in self.form.unseen:
            return
        message = f"`{op}` has no parameter `{cut(key)}`"
        help = did_you_mean(key, params) or f"`{op}` takes no parameters"
        self.form.fault("E208", message, path, help, on_key=True, cause=("name", op, key))

    def positional(
        self, op: str, params: Mapping[str, Value] | None, node: Any, at: Path
    ) -> tuple[dict[str, Any], dict[str, Path]]:
        """A bare value is the first param a block declares."""
        if node is None or params is None:
            return {}, {}
        if not params:
            if op not in self.form.unseen:  # else it reads what its author forgot to declare
                message, help = f"`{op}` takes no parameters", f"write `{op}` alone"
                self.form.fault("E208", message, at, help, cause=("parameters", op))
            return {}, {}
        first = next(iter(params))
        return {first: node}, {first: at}


def _is_main(cls: type[Layer], main: str, node: dict[str, Any]) -> bool:
    """Whether a mapping is the main parameter's value: `activation: {elu: 1.0}`."""
    return not any(key in cls.model_fields for key in node) and cls.accepts(main, node)
