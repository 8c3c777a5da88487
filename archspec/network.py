"""Path → Program: the pipeline said once, in stages that one can stop at and look at.

    run = start("vgg16", Choice(variant="vgg11"))
    print(STAGES[1].show(run))              # the spec, as it was parsed

`archspec compile SPEC --stop-after graph` shows what a stage makes of a spec; `docs/stages.md` goes
through them with a small one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec import collector, language, shelf
from archspec.analysed import Network
from archspec.expand import OF_SIZES, culprit, scheduled
from archspec.expand.again import Again
from archspec.expand.flatten import flatten
from archspec.expand.origin import Said
from archspec.language import Text
from archspec.limits import DEFAULT, Limits
from archspec.text import source as sources
from archspec.text.faults import Fault, Loc, SpecError, Step

if TYPE_CHECKING:
    from archspec.expand.running import Elsewhere
    from archspec.expand.schedule import Schedule
    from archspec.language import Spec
    from archspec.text.source import Source

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is chosen from outside of a spec.

    `variant` is one of the spec's, `params` set what it declares, `inputs` gives other input shapes
    by name, without the batch axis. `allow_outside` lets `use` leave the file's folder.
    """

    variant: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Shapes = field(default_factory=dict)
    limits: Limits = DEFAULT
    allow_outside: bool = False


class Program(Network):
    """A network: its spec, what was chosen from outside, its graph; what follows, when asked for.

    A notebook shows it as a figure and a table.
    """

    def __init__(self, source: Source, spec: Spec, choice: Choice | None = None) -> None:
        """Expand `spec`. Raises SpecError."""
        choice = choice or Choice()
        variant = None if choice.variant == spec.name else choice.variant
        self.choice = replace(choice, variant=variant, inputs=_by_name(spec, choice.inputs))
        try:
            found = self._expanded(spec, self.choice.inputs)
        except SpecError as error:
            raise self._hinted(error, source, spec) from None
        super().__init__(source, spec, variant, found)
        if found.free_axes and self.analysis.fixed:
            raise SpecError(self.analysis.fixed, spec.sources)

    def _expanded(self, spec: Spec, inputs: Shapes) -> Schedule:
        choice = self.choice
        return scheduled(spec, choice.variant, choice.params, inputs, choice.limits)

    def _hinted(self, error: SpecError, source: Source, spec: Spec) -> SpecError:
        """The error; where the sizes given are at fault, with those nearest that are accepted."""
        from archspec.analysis.nearest import remedy

        def takes(inputs: Shapes) -> bool:
            with suppress(SpecError):
                return bool(self._expanded(spec, inputs))
            return False

        given = self.choice.inputs
        of_sizes = [fault for fault in error.faults if fault.code in OF_SIZES]
        if not given or len(of_sizes) != 1 or not takes({}):
            return error
        usual = Program(source, spec, replace(self.choice, inputs={}))
        help = remedy(usual.analysis, given, takes)
        faults = [replace(f, help=help or f.help) if f in of_sizes else f for f in error.faults]
        return SpecError(faults, error.sources)

    @cached_property
    def code(self) -> str:
        """The network as PyTorch source. Raises UnprovenError where that is not its graph."""
        from archspec.emit import UnprovenError, emit

        title = Path(self.source.name).name
        try:
            with collector.paused():
                return emit(self.again, self.name, title, self.spec.init, self.elsewhere)
        except UnprovenError as error:
            raise error.placed(self.sources) from None

    def with_(self, variant: str | None = None, **params: Any) -> Program:
        """The same spec, other choices: another variant starts afresh, params add to those set."""
        if variant is None:
            return Program(self.source, self.spec, self._with(params))
        choice = replace(self.choice, variant=variant, params=_plain(params))
        return Program(self.source, self.spec, choice)

    def _with(self, params: Mapping[str, Any]) -> Choice:
        return replace(self.choice, params={**self.choice.params, **params})

    def each(self, several: Iterable[Mapping[str, Any]]) -> Iterator[Network | None]:
        """The same with other params, one network after another, to be analysed and forgotten.

        Faster than `with_`: blocks that are alike are expanded once. None where `with_` raises, or
        where sizes are free, so that it has more to say.
        """
        if self.schedule.free_axes:
            yield from (None for _ in several)
            return
        for root in self.again.networks(several):
            with collector.paused():
                found = None if root is None else flatten(root)
            yield None if found is None else Network(self.source, self.spec, self.variant, found)

    @property
    def again(self) -> Again:
        """The tree at other values: what emission tries, to see whether a text holds there too."""
        choice = self.choice
        return Again(self.schedule, choice.variant, choice.params, choice.inputs)

    @property
    def elsewhere(self) -> Elsewhere | None:
        """The tree at other sizes of the free axes; None where there are none."""
        from archspec.expand.running import Elsewhere  # for specs with free axes only

        running, moved = self.schedule.running, self.analysis.elsewhere
        return Elsewhere(running, moved.axes) if running is not None and moved else None

    def faults(self) -> list[Fault]:
        """Totals that are not those the spec expects: at most one fault.

        None where anything is set from outside.
        """
        if self.choice.params or self.choice.inputs:
            return []
        chosen = self.variant or self.spec.name
        expected = self.spec.expect.get(chosen, {})
        wrong = [
            (key, f"is {value:,}; the spec expects {wanted:,}")
            for key, wanted in expected.items()
            if (value := getattr(self.counts, key)) != wanted
        ]
        if not wrong:
            return []
        (key, said), *others = wrong  # one change of a network moves them all
        loc = Loc(self.spec.loc.file, ("expect", chosen, key))
        details = tuple(f"`{other}` {text}" for other, text in others)
        if not others and key in _ALONE and expected.keys() >= _ALONE.keys():
            details = (_ALONE[key],)
        return [Fault("E502", f"`{key}` of `{self.name}` {said}", loc, details=details)]

    def told(self) -> list[Fault]:
        """The same, with the places that may be why."""
        from archspec.analysis.unexpected import entered, excess  # only where totals are wrong

        faults = self.faults()
        if not faults:
            return []
        expected = self.spec.expect[self.variant or self.spec.name]
        over = {name: getattr(self.counts, name) - wanted for name, wanted in expected.items()}
        tried = _TRIED * len(self.spec.inputs) * self.schedule.work
        small = tried <= self.choice.limits.work
        why = excess(self.schedule, over) or (
            entered(self.spec, self._as_expected) if small else ()
        )
        return [replace(fault, chain=why) for fault in faults]

    def _as_expected(self, spec: Spec) -> bool:
        """Whether another spec gives the totals that this one expects."""
        with suppress(SpecError):
            found = scheduled(spec, self.variant, limits=self.choice.limits)
            network = Network(self.source, spec, self.variant, found)
            expected = spec.expect[self.variant or spec.name].items()
            return all(getattr(network.counts, key) == value for key, value in expected)
        return False

    def variants_faults(self) -> list[Fault]:
        """What is wrong with the spec's other variants: each fault once, with whose it is.

        All networks of the spec take together as much work as `limits` allow one: variants that are
        left are said by W113.
        """
        wrong: dict[str, Sequence[Fault]] = {}
        unseen: list[Fault] = []
        others = [name for name in self.spec.variants if name != self.variant]
        spent = self.schedule.work
        for k, name in enumerate(others):
            faults, work = self._variant(name, spent)
            spent += _LEAST + work
            if spent > self.choice.limits.work:
                unseen = [_unseen(self.spec, others[k:])]
                break
            if faults:
                wrong[name] = faults
        totals = [name for name, faults in wrong.items() if faults[0].code == "E502"]
        for name in totals[:1]:  # what others have is said in its complaint
            wrong[name] = Program(self.source, self.spec, replace(self.choice, variant=name)).told()
        if len(totals) == 1:
            wrong[totals[0]] = [self._of_one(totals[0], wrong[totals[0]][0])]
        return [*_told({**wrong, **self._values_at_fault(wrong)}), *unseen]

    def _of_one(self, name: str, fault: Fault) -> Fault:
        """Totals that are another network's in one variant alone: with what that sets."""
        said = f"`{name}` sets this; without it the totals are as expected"
        step = Step(Loc(self.spec.loc.file, ("variants", name)), said, "compare")
        return replace(fault, chain=(*fault.chain, step))

    def _values_at_fault(self, wrong: Mapping[str, Sequence[Fault]]) -> dict[str, Sequence[Fault]]:
        """Faults of variants that one value of theirs is to blame for, where that is written.

        Not where the same param makes the same fault of several variants: the use is wrong then.
        """
        found: dict[str, Sequence[Fault]] = {}
        alike: dict[object, list[str]] = {}
        left = self.choice.limits.work // _SHARE
        for name, faults in wrong.items():
            values = [*culprit.chosen(Said(self.spec, name))]
            left -= len(values) * (_LEAST + self.schedule.work)
            if left < 0 or faults[0].code == "E502":
                continue
            found[name] = blamed = _blamed(faults, values, self.choice)
            if blamed is not faults:
                key = (faults[0].code, faults[0].loc, blamed[0].loc.path[-1])
                alike.setdefault(key, []).append(name)
        several = {name for names in alike.values() if len(names) > 1 for name in names}
        return {name: faults for name, faults in found.items() if name not in several}

    def _variant(self, name: str, spent: int) -> tuple[Sequence[Fault], int]:
        """What is wrong with a variant, and how many operations it took."""
        choice = replace(self.choice, variant=name, limits=replace(self.choice.limits, spent=spent))
        try:
            program = Program(self.source, self.spec, choice)
        except SpecError as error:
            return error.faults, error.work
        return program.faults(), program.schedule.work

    def __repr__(self) -> str:
        return f"<Program {self.name}: {len(self.schedule.steps)} nodes>"

    def _repr_html_(self) -> str:
        from archspec import report
        from archspec.figures import figure

        drawn = figure(self, format="svg")
        assert isinstance(drawn, str)
        return f'<div style="overflow-x: auto">{drawn}</div>\n{report.html(self)}'


_TRIED = 50  # networks that are tried for each input, and may take the work of one together
_SENTENCES = 2  # of one complaint, beside its first
_SHARE = 4  # of the work that is allowed: what may be tried to find a value at fault
# What one total says of what is wrong, where the other is as expected.
_ALONE = {
    "macs": "`params` is as expected: no weight differs; some map is larger or smaller",
    "params": "`macs` is as expected: what differs is in a bias, a norm or an embedding",
}
_LEAST = 4000  # operations that a variant is counted for beside its own


def _blamed(
    faults: Sequence[Fault], values: Sequence[culprit.Value], choice: Choice
) -> Sequence[Fault]:
    """The faults; where one of the values that were chosen is to blame, one of that."""
    limits = replace(choice.limits, nodes=choice.limits.nodes // (_SHARE * max(1, len(values))))

    def made(said: Said) -> Schedule | None:
        with suppress(SpecError):
            return scheduled(said.spec, said.variant, said.params, choice.inputs, limits)
        return None

    return culprit.blamed(faults, values, made)


def _told(wrong: Mapping[str, Sequence[Fault]]) -> list[Fault]:
    """Each fault once, with the variants that have it; what is said of others in other words."""
    found: dict[object, dict[str, list[str]]] = {}  # variants by sentence
    first: dict[object, Fault] = {}
    for name, faults in wrong.items():
        for fault in faults:
            one = fault.code == "E502"  # each has totals of its own
            key = fault.code if one else (fault.code, fault.loc)
            before = first.setdefault(key, fault)
            said = before.message if one else fault.message
            found.setdefault(key, {}).setdefault(said, []).append(name)
    return [replace(first[k], details=(*first[k].details, *_whose(v))) for k, v in found.items()]


def _whose(names: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Whose a fault is: of the sentence that is printed, then of others."""
    (_, own), *others = names.items()
    yield f"in {_of(own)}"
    yield from (f"in {_of(some)}: {said}" for said, some in others[:_SENTENCES])
    more = [name for _, some in others[_SENTENCES:] for name in some]
    if more:
        yield f"and in {_of(more)}"


def _of(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"the variant{'s' * (len(names) > 1)} {shown}{more}"


def _unseen(spec: Spec, names: Sequence[str]) -> Fault:
    loc = Loc(spec.loc.file, ("variants", names[0]), on_key=True)
    message = f"{_of(names)} {'were' if len(names) > 1 else 'was'} not looked at: there is too much"
    return Fault("W113", message, loc, f"`--variant {names[0]}` looks at one")


# ------------------------------------------------------------------ the pipeline


@dataclass(frozen=True)
class Run:
    """A spec on its way: what each stage makes of it, made when it is first asked for."""

    source: Source
    choice: Choice

    @cached_property
    def spec(self) -> Spec:
        """Raises SpecError."""
        return language.parse(
            self.source, allow_outside=self.choice.allow_outside, limits=self.choice.limits
        )

    @cached_property
    def program(self) -> Program:
        """Raises SpecError, about the value that was chosen where one is at fault."""
        spec, choice = self.spec, self.choice
        try:
            return Program(self.source, spec, choice)
        except SpecError as error:
            values = [*culprit.chosen(Said(spec, choice.variant, choice.params))]
            raise SpecError(_blamed(error.faults, values, choice), error.sources) from None

    def checked(self) -> Program:
        """The program. Raises SpecError, also where its totals are not those that are expected."""
        faults = self.program.told()
        if faults:
            raise SpecError(faults, self.program.sources)
        return self.program

    def everywhere(self) -> tuple[Program, list[Fault]]:
        """The program, once its other variants are checked too, and warnings about those.

        Where anything is chosen from outside, that alone is checked. Raises SpecError.
        """
        program, choice = self.checked(), self.program.choice
        if choice.variant is not None or choice.params or choice.inputs:
            return program, []
        found = program.variants_faults()
        if any(fault.fatal for fault in found):
            raise SpecError(found, program.sources)
        return program, found


class Stage(NamedTuple):
    """A step of the pipeline: a verb, what it does, what it made in a run, what shows that."""

    name: str
    does: str
    made: Callable[[Run], Any]
    shown: str  # module:function, loaded when it is first needed

    def show(self, run: Run) -> str:
        """What the stage made, as text. Raises SpecError."""
        return str(resolve_name(self.shown)(self.made(run)))


STAGES = (
    Stage(
        "read", "text → data, and the place of every key and scalar",
        attrgetter("source"), "archspec.text.trace:read",
    ),
    Stage(
        "parse", "data → items: an operation, its arguments, its modifiers",
        attrgetter("spec"), "archspec.language.trace:parsed",
    ),
    Stage(
        "expand", "items → a tree: blocks and repeats unrolled, names and shapes given",
        attrgetter("program.schedule.root"), "archspec.expand.trace:tree",
    ),
    Stage(
        "graph", "tree → the ops in the order they are computed",
        attrgetter("program"), "archspec.report:unrolled",
    ),
    Stage(
        "analyse", "graph → costs, memory, receptive fields",
        attrgetter("program"), "archspec.report:write",
    ),
    Stage(
        "lower", "tree → the classes of the source: arguments, layers, statements",
        attrgetter("program"), "archspec.emit.trace:lowered",
    ),
    Stage("emit", "classes → Python source", attrgetter("program.code"), "builtins:str"),
)  # fmt: skip


def start(path: str | Path, choice: Choice) -> Run:
    """Read a spec file, or a spec that ships with archspec by its name. Raises SpecError."""
    file = shelf.find(path)
    shipped = file != Path(path)
    try:
        found = sources.read(file, limits=choice.limits, name=file.name if shipped else None)
    except SpecError as error:
        raise _hinted(error, str(path)) from None
    return Run(found, choice)


def _hinted(error: SpecError, path: str) -> SpecError:
    """The error; of a spec that is not there with what may have been meant."""
    first = error.faults[0]
    if first.code != "E101" or first.loc.file != path or os.path.lexists(path):
        return error
    return SpecError([replace(first, help=shelf.hint(path) or first.help)], error.sources)


# ------------------------------------------------------------------ texts alone

Texts = tuple[tuple[str, str | None, str], ...]  # name for messages, file's own name, text


def texts(program: Program) -> Texts:
    """The texts of the spec, the first, and of all files that it uses.

    A folder's name says something of a machine, so files are named from that of the spec, unless
    they may stand anywhere.
    """
    folder = Path(program.source.name).parent
    return tuple(
        (
            s.name if program.choice.allow_outside else os.path.relpath(s.name, folder),
            None if s.path is None else s.path.name,
            s.text,
        )
        for s in program.sources.values()
    )


def of_texts(files: Texts, choice: Choice) -> Program:
    """The program again of what `texts` gave; no file is read. Raises SpecError."""
    (name, own, text), *used = files
    path = None if own is None else Path(own)
    source = sources.from_text(text, name, limits=choice.limits, path=path)
    there = {name: Text(own or name, text) for name, own, text in used}
    spec = language.parse(
        source, allow_outside=choice.allow_outside, limits=choice.limits, texts=there
    )
    return Program(source, spec, choice)


# ------------------------------------------------------------------ from Python


def _by_name(spec: Spec, given: Shapes) -> Shapes:
    """A shape without a name, `-i 3x64x64`, is that of the only input, whatever that is called."""
    alone = isinstance(given, Mapping) and [*given] == ["input"] and len(spec.inputs) == 1
    return dict.fromkeys(spec.inputs, given["input"]) if alone else given


def _plain(value: Any) -> Any:
    """A number of NumPy's, or a tensor, as Python has it: `classes=labels.max() + 1`."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


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
    choice = Choice(
        variant=variant, params=_plain(params), inputs=inputs or {}, limits=limits,
        allow_outside=allow_outside,
    )  # fmt: skip
    return prepare(path, choice)


def check(
    path: str | Path,
    variant: str | None = None,
    *,
    inputs: Shapes | None = None,
    limits: Limits = DEFAULT,
    allow_outside: bool = False,
    **params: Any,
) -> list[Fault]:
    """The warnings of a spec file; without a choice from outside, all its variants are checked.

    As `load` otherwise. Raises SpecError with all independent faults.
    """
    choice = Choice(
        variant=variant, params=_plain(params), inputs=inputs or {}, limits=limits,
        allow_outside=allow_outside,
    )  # fmt: skip
    with collector.paused():
        program, found = start(path, choice).everywhere()
    return [*program.warnings, *found]


def prepare(path: str | Path, choice: Choice) -> Program:
    """`load`, its choices in one: params may then be called `inputs` or `variant` as well."""
    if not isinstance(path, (str, os.PathLike)):
        wanted = "a path, the name of one that ships with archspec, or a Program"
        raise TypeError(f"a spec is {wanted}, not {type(path).__name__}")
    with collector.paused():
        return start(path, choice).checked()


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
    if not isinstance(text, str):
        raise TypeError(f"`loads` takes the text of a spec, not {type(text).__name__}")
    choice = Choice(variant=variant, params=_plain(params), inputs=inputs or {}, limits=limits)
    with collector.paused():
        return Run(sources.from_text(text, name, limits=limits), choice).checked()


def program(spec: str | Path | Program, variant: str | None = None, **params: Any) -> Program:
    """What is given as a spec file, a shipped spec's name, or a Program. Raises SpecError."""
    if not isinstance(spec, Program):
        return load(spec, variant, **params)
    if variant is None and not params:
        return spec
    return spec.with_(variant, **params)


def compile(spec: str | Path | Program, variant: str | None = None, **params: Any) -> str:
    """The PyTorch source of a spec file, a shipped spec or a Program. Raises SpecError."""
    return program(spec, variant, **params).code


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

    shown = program(spec, variant, **params)
    if format is None and path is not None:
        format = by_ending(path)
    with collector.paused():
        made = figure(shown, view, format, block=block, node=node)
    if path is not None:
        save(made, Path(path), force=force)
    return made
