"""The value of an operation key → arguments by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archspec.expressions import Expr
from archspec.language.form import Path
from archspec.language.models import REQUIRED, Ref, Value
from archspec.language.operations import BESIDE, Around, Head, Operations
from archspec.layers.base import BadArgument
from archspec.layers.fields import REQUIRED as FIELD_REQUIRED
from archspec.layers.fields import Wrong
from archspec.text.words import cut, did_you_mean, listed, written

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
            return self.literal(op, cls, {}, at, {}), self.form.refs(
                node, at, f"`{op}`", around.sight
            )
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
            self.partly(op, cls, args, at, places, excused=True)
            return args, None
        return self.literal(op, cls, args, at, places), None

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
            if key in cls.fields:
                given[key] = value
            else:
                self.not_a_field(op, cls, key, (*at, key))
        return given, {key: (*at, key) for key in given}

    def not_a_field(self, op: str, cls: type[Layer], key: str, path: Path) -> None:
        if key in BESIDE:
            self.belongs_beside(key, op, path)
            return
        try:
            cls(**{key: None})
        except BadArgument as bad:  # it knows other libraries' spellings and what is inferred
            self.form.fault(
                bad.code, bad.message, path, bad.help or _spelled(bad.message), on_key=True
            )

    def belongs_beside(self, key: str, op: str, path: Path) -> None:
        message = f"`{key}` belongs beside `{op}`, not inside its parameters"
        self.form.fault("E212", message, path, f"write `{{{op}: …, {key}: …}}`", on_key=True)

    def literal(
        self, op: str, cls: type[Layer], args: dict[str, Value], at: Path, places: dict[str, Path]
    ) -> dict[str, Value]:
        """Checks the arguments that are no expressions, and what must be there; returns `args`."""
        if any(map(_has_expression, args.values())):
            self.partly(op, cls, args, at, places)
            return args
        shown = f"{op}{args!r}"
        if shown not in self._checked:
            self._checked[shown] = _create(cls, args)
        bad = self._checked[shown]
        if bad is not None:
            known = bad.field in places
            path = places[bad.field] if known and bad.field else at
            help = bad.help or (
                f"write `{op}: {{{bad.field}: …}}`" if "needs" in bad.message and bad.field else ""
            )
            self.form.fault(bad.code, bad.message, path, help, on_key=not known)
        return args

    def partly(
        self,
        op: str,
        cls: type[Layer],
        args: dict[str, Value],
        at: Path,
        places: dict[str, Path],
        *,
        excused: bool = False,
    ) -> None:
        """Checks each argument that is no expression by itself."""
        main = cls.main() or ""
        # a bare list may stand for another parameter than the main one; the op knows, in the end
        excused = excused or (isinstance(args.get(main), list) and places.get(main) == at)
        for key, field in cls.fields.items():
            if key not in args:
                if field.default is FIELD_REQUIRED and not excused:
                    self.form.fault(
                        "E209",
                        f"`{op}` needs `{key}`, {field.kind.says}",
                        at,
                        f"write `{op}: {{{key}: …}}`",
                        on_key=True,
                    )
            elif not _has_expression(args[key]):
                try:
                    field.check(args[key])
                except Wrong as wrong:
                    message = f"`{key}` of `{op}` is {cut(written(args[key]))}; {wrong.rule}"
                    self.form.fault("E210", message, places[key], wrong.help)

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
    if any(key in cls.fields for key in node):
        return False
    try:
        cls.fields[main].check(node)
    except Wrong:
        return False
    return True


def _has_expression(value: Value) -> bool:
    if isinstance(value, Expr):
        return True
    if isinstance(value, list):
        return any(_has_expression(entry) for entry in value)
    return isinstance(value, dict) and any(_has_expression(entry) for entry in value.values())


def _create(cls: type[Layer], args: dict[str, Value]) -> BadArgument | None:
    try:
        cls(**args).resolve()
    except BadArgument as bad:
        return bad
    return None


def _spelled(message: str) -> str:
    """The remedy of "`kernel_size` is spelled `kernel` here"."""
    parts = message.split("`")
    return f"write `{parts[3]}`" if "is spelled" in message and len(parts) > 3 else ""
