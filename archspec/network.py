"""Path → Program: the pipeline said once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec import collector, language, shelf
from archspec.analysed import Network
from archspec.expand import elaborate, expand
from archspec.limits import DEFAULT, Limits
from archspec.text import source as sources
from archspec.text.faults import Fault, Loc, SpecError

if TYPE_CHECKING:
    from archspec.expand.tree import Instance
    from archspec.language import Spec
    from archspec.text.source import Source

Shapes = Mapping[str, Sequence[int]]


class Program(Network):
    """A network: its spec, what was chosen from outside, its graph; what follows, when asked for.

    A notebook shows it as a figure and a table.
    """

    def __init__(
        self,
        source: Source,
        spec: Spec,
        variant: str | None = None,
        params: Mapping[str, Any] | None = None,
        inputs: Shapes | None = None,
        limits: Limits = DEFAULT,
    ) -> None:
        """Expand `spec`. Raises SpecError."""
        variant = None if variant == spec.name else variant
        self.params = dict(params or {})
        self.inputs = dict(inputs or {})
        self.limits = limits
        graph = expand(spec, variant=variant, params=self.params, inputs=self.inputs, limits=limits)
        super().__init__(source, spec, variant, graph)

    @cached_property
    def code(self) -> str:
        """The network as PyTorch source."""
        from archspec.emit import emit

        title = Path(self.source.name).name
        with collector.paused():
            return emit(self.graph.root, self.name, title, self._witness, self.spec.init)

    @property
    def source_code(self) -> str:
        """The same as `code`."""
        return self.code

    def with_(self, variant: str | None = None, **params: Any) -> Program:
        """The same spec, other choices: another variant starts afresh, params add to those set."""
        if variant is not None:
            return Program(self.source, self.spec, variant, params, self.inputs, self.limits)
        merged = {**self.params, **params}
        return Program(self.source, self.spec, self.variant, merged, self.inputs, self.limits)

    def _witness(self, params: Mapping[str, Any]) -> Instance | None:
        """The tree with some params changed; None where that has faults."""
        try:
            merged = {**self.params, **params}
            return elaborate(self.spec, self.variant, merged, self.inputs, self.limits)
        except SpecError:
            return None

    def faults(self) -> list[Fault]:
        """Totals that are not those the spec expects: at most one fault.

        None where anything is set from outside.
        """
        if self.params or self.inputs:
            return []
        wrong = []
        chosen = self.variant or self.spec.name
        for key, wanted in self.spec.expect.get(chosen, {}).items():
            value = getattr(self.analysis.totals, key)
            if value != wanted:
                wrong.append((key, f"is {value:,}; the spec expects {wanted:,}"))
        if not wrong:
            return []
        (key, said), *others = wrong  # one change of a network moves them all
        loc = Loc(self.spec.loc.file, ("expect", chosen, key))
        details = tuple(f"`{other}` {text}" for other, text in others)
        return [Fault("E502", f"`{key}` of `{self.name}` {said}", loc, details=details)]

    def __repr__(self) -> str:
        return f"<Program {self.name}: {len(self.graph.steps)} nodes>"

    def _repr_html_(self) -> str:
        from archspec import report
        from archspec.figures import figure

        drawn = figure(self, format="svg")
        assert isinstance(drawn, str)
        return f'<div style="overflow-x: auto">{drawn}</div>\n{report.html(self)}'


def load(
    path: str | Path,
    variant: str | None = None,
    *,
    inputs: Shapes | None = None,
    limits: Limits = DEFAULT,
    allow_outside: bool = False,
    **params: Any,
) -> Program:
    """The program of a spec file, or of a spec that ships with archspec by its name.

    `variant` is one of the spec's, `params` set what it declares, `inputs` gives other input shapes
    by name, without the batch axis. `allow_outside` lets `use` leave the file's folder.

    Raises SpecError with all independent faults.
    """
    return prepare(path, variant, params, inputs, limits, allow_outside=allow_outside)


def prepare(
    path: str | Path,
    variant: str | None,
    params: Mapping[str, Any],
    inputs: Shapes | None = None,
    limits: Limits = DEFAULT,
    *,
    allow_outside: bool = False,
) -> Program:
    """`load`, its params as a mapping: they may then be called `inputs` or `variant` as well."""
    file = shelf.find(path)
    shipped = file != Path(path)
    with collector.paused():
        try:
            found = sources.read(file, limits=limits, name=file.name if shipped else None)
        except SpecError as error:
            raise _hinted(error, str(path)) from None
        return _checked(found, variant, params, inputs, limits, allow_outside=allow_outside)


def _hinted(error: SpecError, path: str) -> SpecError:
    """The error; of a spec that is not there with what may have been meant."""
    first = error.faults[0]
    if first.code != "E101" or first.loc.file != path:
        return error
    return SpecError([replace(first, help=shelf.hint(path) or first.help)], error.sources)


def loads(
    text: str,
    variant: str | None = None,
    *,
    name: str = "<text>",
    inputs: Shapes | None = None,
    limits: Limits = DEFAULT,
    **params: Any,
) -> Program:
    """The program of a spec given as text; `name` is what messages call it. Raises SpecError."""
    with collector.paused():
        found = sources.from_text(text, name, limits=limits)
        return _checked(found, variant, params, inputs, limits, allow_outside=False)


def _checked(
    found: Source,
    variant: str | None,
    params: Mapping[str, Any],
    inputs: Shapes | None,
    limits: Limits,
    *,
    allow_outside: bool,
) -> Program:
    spec = language.parse(found, allow_outside=allow_outside, limits=limits)
    program = Program(found, spec, variant, params, inputs, limits)
    faults = program.faults()
    if faults:
        raise SpecError(faults, program.sources)
    return program


def compile(spec: str | Path | Program, variant: str | None = None, **params: Any) -> str:
    """The PyTorch source of a spec file, a shipped spec or a Program. Raises SpecError."""
    if not isinstance(spec, Program):
        return load(spec, variant, **params).code
    if variant is None and not params:
        return spec.code
    return spec.with_(variant, **params).code


def render(
    spec: str | Path | Program,
    path: str | Path | None = None,
    *,
    view: str = "auto",
    format: str | None = None,
    block: str | None = None,
    node: str | None = None,
    variant: str | None = None,
    force: bool = False,
    **params: Any,
) -> str | bytes:
    """A figure of a spec file, a shipped spec or a Program; PDF and PNG are bytes, others text.

    `view` is "blocks", "graph", "tower", "levels", "module", "field", "html" or "auto", which picks
    one. `format` follows from the ending of `path`, the file to write; without both it is the
    view's first, mostly SVG. `block` and `node` name the part that `graph` and `module`, or
    `field`, show. A file that archspec did not write is replaced with `force` only.

    Raises SpecError; RenderError for what cannot be drawn; save.NotOursError.
    """
    from archspec.figures import by_ending, figure
    from archspec.save import save

    if not isinstance(spec, Program):
        spec = load(spec, variant, **params)
    elif variant is not None or params:
        spec = spec.with_(variant, **params)
    if format is None and path is not None:
        format = by_ending(path)
    with collector.paused():
        made = figure(spec, view, format, block=block, node=node)
    if path is not None:
        save(made, Path(path), force=force)
    return made
