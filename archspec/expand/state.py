"""What one expansion shares: limits, faults with the chain that led there, layers and types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from archspec.expand import origin
from archspec.expand.origin import Link, Said
from archspec.expand.plan import Ids, Plan, has_expression
from archspec.expand.tree import Copy, Instance, Seen, Value
from archspec.expressions import Expr, ExpressionError, Record, Template, evaluate, render
from archspec.expressions.arithmetic import FailedError, Work, bounded, entries
from archspec.expressions.grammar import WORK
from archspec.language import Block, Filler, Init, Input, Item, Spec
from archspec.language.names import is_path
from archspec.layers import BadArgument, Layer, TensorType, create
from archspec.layers.base import Weight
from archspec.limits import MORE, Limits
from archspec.text.faults import SHOWN, Fault, Loc, Step
from archspec.text.words import show, written

Env = dict[str, Any]
Types = tuple["TensorType | None", ...]
Path = tuple[str | int, ...]

# What is counted, in operations of a comprehension, each of which takes about a microsecond:
COPY = 6  # each copy, present or not
WRITTEN = 9  # each item, beside its copies, when it is met first
NAMED = 5  # each group with a name, beside
ONCE_MORE = 12  # each copy of `shared`, beside
TIE = 8
LAYER = 25  # each layer that is unlike those before it, beside
INSTANCE = 60  # each call with other arguments or inputs than those before it, beside
EVALUATED = 3  # each expression, beside its parts
EDGE = 6  # each input of an item that has more than two
FEW = 8  # parts of an expression, or params, in one operation
MANY = 64  # names that are handed on in one operation
_WORD = re.compile(r"[^\W\d]")
_SHOWN = 4  # arguments of a call in the chain


class HiddenError(Exception):
    """A value that something already complained about stands behind: nothing more is said."""


class TooLargeError(Exception):
    """A tensor or a weight of an op is larger than the limit: the fault, and its shape."""

    def __init__(self, fault: Fault, shape: tuple[int, ...]) -> None:
        super().__init__(fault, shape)
        self.fault, self.shape = fault, shape


class LimitError(Exception):
    """A limit is reached, or one fault is enough; it is noted."""


UNKNOWN: Any = object()  # stands in an environment for a value that a fault hides


class State:
    """One expansion."""

    def __init__(self, limits: Limits, *, untrained: bool = False) -> None:
        self.limits = limits
        self.untrained = untrained  # whether taps for training are left out
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self.blind = False  # whether any value may be hidden by a fault
        self.trying = False  # whether the first fault is the end: nobody reads the others
        # the file whose items have the shapes they expect; none where anything is set from outside
        self.expecting: str | None = None
        self.links: list[Link] = []
        self.made: Sequence[tuple[Copy, Item, object]] = ()  # so far, in the body that is walked
        self.chosen: Said | None = None  # the document that is expanded, and what is chosen of it
        self.depth = 0
        self.copies = 0  # made so far, absent ones included
        self.work = Work()
        self.plans: dict[int, Plan] = {}
        self.written: dict[tuple[int, tuple[str, ...]], bool] = {}  # absent paths, by block
        self.ids: dict[int, Ids] = {}  # of bodies in which an id is looked for in vain
        self.layers: dict[object, Layer] = {}
        self.types: dict[TensorType, TensorType] = {}
        self.inferred: dict[tuple[int, ...], tuple[TensorType, ...]] = {}
        self.instances: dict[object, Instance | None] = {}
        self.kept: list[object] = []  # whose identity is a key above
        # by identity: blocks that a `use` cut, where they are used, their outputs that are taken
        self.cuts: dict[int, tuple[Spec, Block, set[str]]] = {}
        self.dry: list[Item] = []  # groups around, into which nothing flows
        self.offered: tuple[str, ...] = ()  # outputs of the item that leaves nothing on the line
        self.overfed: set[Path] = set()  # blocks that are given more inputs than they take
        self.entering: tuple[Input, ...] = ()  # the inputs of the document
        self._beside: tuple[Step, ...] = ()
        self._said: set[tuple[object, ...]] = set()

    # ------------------------------------------------------------ complaints

    def fault(
        self, code: str, message: str, loc: Loc, help: str = "", details: tuple[str, ...] = (),
        cause: tuple[object, ...] = (),
    ) -> None:  # fmt: skip
        """Note a fault, once for all copies and calls of what stands at `loc`.

        Of several in one block that have the same `cause`, the first is said. Raises LimitError
        where it is enough that there is one.
        """
        self.blind = True
        block = block_of(loc)
        keys: set[tuple[object, ...]] = {(code, loc.file, loc.path)}
        if cause:
            keys.add((code, loc.file, block, cause))
        if keys.isdisjoint(self._said):
            self.faults.append(Fault(code, message, loc, help, details, self.chain()))
        self._said.update(keys)
        if self.trying or len(self.faults) >= SHOWN:  # nobody reads more of them
            raise LimitError

    def wrong(self, value: Any, fault: Fault, said: str) -> None:
        """Note that a value as written is wrong: where it stands, if that is elsewhere, and once.

        `said` is what it is used by.
        """
        chosen = self.chosen
        if chosen is None:
            self.fault(fault.code, fault.message, fault.loc, fault.help)
            return
        fault = replace(fault, cause=origin.causes(value, self.links, chosen))
        at = self._culprit(value, fault.message, chosen)
        self._wrong_at(at, value, fault, said)

    def uneven(self, columns: Mapping[str, Any], fault: Fault, said: str) -> None:
        """Note that columns differ in length: one list of the variant may be why."""
        at, every = None, [*columns.values()]
        if self.chosen is not None:
            at = origin.uneven(every, self.links, self.chosen)
            fault = replace(fault, cause=origin.causes(every, self.links, self.chosen))
        if at is None:
            self._of_value(replace(fault, chain=self.chain()))
        else:
            self._wrong_at(at, every, fault, said)

    def _wrong_at(self, at: Loc | None, value: Any, fault: Fault, said: str) -> None:
        """Note a fault of a value; `at` is the place where it stands, if that is elsewhere."""
        chosen = self.chosen
        assert chosen is not None
        if at is not None:
            used = Step(fault.loc, said, USED)
            given = at == deeper(chosen.spec.loc, "params", at.path[-1]) and at.path[-1]
            details = (f"`{given}` is set from outside",) if given in chosen.params else ()
            fault = replace(fault, loc=at, details=details, chain=(*self.chain(), used))
        else:
            fault = replace(fault, chain=self.chain())
        fault = replace(fault, chain=(*fault.chain, *_odd(fault)))
        self._of_value(fault, getattr(value, "text", None) if at is None else None)

    def _culprit(self, value: Any, message: str, chosen: Said) -> Loc | None:
        """The place of what makes a value wrong, if that is elsewhere."""
        if message.startswith("the index "):
            return origin.uneven([value], self.links, chosen)
        found = origin.culprit(value, self.links, chosen, message)
        return found or origin.place(value, self.links, chosen)

    def _of_value(self, fault: Fault, text: str | None = None) -> None:
        """Note a fault of a value, once however often that is used, and its `text` is written."""
        self.blind = True
        at = fault.loc
        keys: set[tuple[object, ...]] = {("value", at.file, at.path)}
        if text is not None:
            keys.add((fault.code, at.file, block_of(at), text))
            keys.add((fault.code, fault.message, frozenset(fault.cause)))
        if keys.isdisjoint(self._said):
            self.faults.append(fault)
        self._said.update(keys)
        if self.trying:
            raise LimitError

    @contextmanager
    def aside(self) -> Iterator[list[Fault]]:
        """What is noted meanwhile: kept in the list alone, for who finds that it matters."""
        kept = self.faults, self._said, self.blind, self.trying
        self.faults, self._said, self.trying = [], set(), False
        yield self.faults
        self.faults, self._said, self.blind, self.trying = kept

    def again(self, fault: Fault) -> None:
        """Note what was noted aside: it matters."""
        if fault.cause:
            self._of_value(fault)
            return
        self.fault(fault.code, fault.message, fault.loc, fault.help, fault.details)

    def noted(self, code: str, loc: Loc) -> bool:
        """Whether such a fault is noted of what stands at `loc`, so that no other is said there."""
        return (code, loc.file, loc.path) in self._said

    def once_more(self, code: str, loc: Loc, cause: tuple[object, ...]) -> bool:
        """Whether a fault of this cause is noted in the block of `loc`, and is now here too."""
        found = (code, loc.file, block_of(loc), cause) in self._said
        if found:
            self._said.add((code, loc.file, loc.path))
        return found

    def said(self, code: str, cause: tuple[object, ...]) -> bool:
        """Whether a fault of this cause is noted, in any block."""
        return any(key[0] == code and key[-1] == cause for key in self._said)

    def warn(self, code: str, message: str, loc: Loc, help: str = "") -> None:
        key = (code, loc.file, loc.path)
        if key not in self._said:
            self._said.add(key)
            self.warnings.append(Fault(code, message, loc, help, (), self.chain()))

    def stop(self, code: str, message: str, loc: Loc, help: str = "") -> LimitError:
        self.fault(code, message, loc, help)
        return LimitError()

    def stop_at(self, fault: Fault, at: Loc | None, value: Any, said: str) -> LimitError:
        """As `stop`, of a `value` as written; `at` is where it stands, if that is elsewhere."""
        if at is None:
            return self.stop(fault.code, fault.message, fault.loc, fault.help)
        self._wrong_at(at, value, fault, said)
        return LimitError()

    def place_of(self, sizes: Iterable[int], value: Any) -> Loc | None:
        """Where one of `sizes` stands that a `value` as written comes of, if it is a large one."""
        large = {size for size in sizes if size >= LARGE}
        if self.chosen is None or not large:
            return None
        return origin.one_of(large, value, self.links, self.chosen)

    def chain(self) -> tuple[Step, ...]:
        """The calls and copies that lead to where the walk is."""
        steps: list[Step] = []
        links = self.links
        for k, link in enumerate(links):
            follower = links[k + 1] if k + 1 < len(links) else None
            if follower is not None and follower.item is link.item and link.count:
                continue  # a copy of a call: one step
            before = links[k - 1] if k and links[k - 1].item is link.item else None
            steps.append(Step(link.item.loc, _said(link, before)))
        return (*steps, *self._beside)

    @contextmanager
    def beside(self, *steps: Step) -> Iterator[None]:
        """Where else to look, for what is noted meanwhile: it ends the chain."""
        self._beside = steps
        try:
            yield
        finally:
            self._beside = ()

    def path(self) -> tuple[str, ...]:
        """The path of the call that is being walked."""
        return tuple(segment for link in self.links for segment in link.path)

    def forgive(self) -> None:
        """Forget the faults, and where the walk was when it came to them."""
        self.faults.clear()
        self._said.clear()
        self.links.clear()
        self.blind, self.depth = False, 0

    # ------------------------------------------------------------ values

    def value(self, value: Any, env: Mapping[str, Any], loc: Loc) -> Any:
        """A value as written, evaluated. Raises HiddenError."""
        if isinstance(value, Expr):
            return self.expression(value, env, loc)
        if isinstance(value, (list, tuple)):
            self.worked(len(value) // FEW, loc)
            found = [self.value(v, env, deeper(loc, i)) for i, v in enumerate(value)]
            if any(isinstance(entry, Expr) for entry in value):
                self._listed(found, loc)
            return found if isinstance(value, list) else tuple(found)
        if isinstance(value, dict):
            return {k: self.value(v, env, deeper(loc, k)) for k, v in value.items()}
        return value

    def expression(self, expr: Expr, env: Mapping[str, Any], loc: Loc) -> Any:
        """Raises HiddenError where it has no value."""
        if self.blind and any(env.get(name) is UNKNOWN for name in expr.names):
            raise HiddenError
        self.worked(EVALUATED + expr.size // FEW, loc)
        try:
            found = evaluate(expr, {**env, WORK: self.work} if expr.lists else env)
        except ExpressionError as bad:
            self.failed(bad, loc, expr)
            raise HiddenError from None
        if isinstance(found, list):  # it is kept
            self.worked(entries(found), loc)
        return found

    def worked(self, much: int, loc: Loc) -> None:
        """Count operations before they are done. Raises LimitError."""
        self.work.done += much
        if self.work.done > self.limits.work:
            raise self.too_much(loc)

    def _listed(self, value: list[Any], loc: Loc) -> None:
        """A list may hold lists that expressions give, as far as it stays small."""
        try:
            bounded(value)
        except FailedError as bad:
            self.fault(bad.code, bad.message, loc, cause=(bad.message,))
            raise HiddenError from None

    def steady(self, what: str, value: Any, loc: Loc) -> None:
        """Where free axes are looked at: notes that `what` cannot follow from one."""

    def text(self, template: Template, env: Env, loc: Loc) -> str:
        """A path or id with its expressions replaced. Raises HiddenError."""
        if self.blind:
            hidden = (n for p in template.parts if isinstance(p, Expr) for n in p.names)
            if any(env.get(name) is UNKNOWN for name in hidden):
                raise HiddenError
        every = [part for part in template.parts if isinstance(part, Expr)]
        self.worked(sum(EVALUATED + expr.size // FEW for expr in every), loc)
        try:
            return render(template, {**env, WORK: self.work})
        except ExpressionError as bad:
            said = template.text[bad.start : bad.stop]
            whole = (p for p in every if p.text in said or said in p.text)
            self.failed(bad, loc, next(whole, said))
            raise HiddenError from None

    def failed(self, bad: ExpressionError, loc: Loc, said: Expr | str) -> None:
        """Note what is wrong with an expression; written twice, it is one fault.

        So it is where one value makes several fail in one way.
        """
        at = replace(loc, span=(bad.start, bad.stop))
        chosen, text = self.chosen, said if isinstance(said, str) else said.text
        read = origin.causes(said, self.links, chosen) if chosen is not None else ()
        if not read:
            self.fault(bad.code, bad.message, at, bad.help, cause=(text, bad.message))
            return
        fault = Fault(bad.code, bad.message, at, bad.help, (), self.chain(), read)
        place = self._culprit(said, bad.message, chosen) if chosen is not None else None
        if place is not None:
            used = Step(at, f"`$({text})`", USED)
            fault = replace(fault, loc=place, chain=(*self.chain(), used))
        fault = replace(fault, chain=(*fault.chain, *_odd(fault)))
        self._of_value(fault, bad.message)

    def condition(self, item: Item, field: str, env: Env) -> bool | None:
        """Whether a condition of an item holds; None where none is said, or a fault hides it."""
        value, loc = getattr(item, field), deeper(item.loc, field)
        if value is None or isinstance(value, bool):
            return value
        try:
            found = self.value(value, env, loc)
        except HiddenError:
            return None
        if isinstance(found, bool):
            return found
        help = "compare it: `x > 0`, `x != 0`"
        message = f"`{field}` is {show(found)}; it takes true or false"
        self.wrong(value, Fault("E361", message, loc, help), f"`{field}` of `{item.said}`")
        return None

    def frozen(self, item: Item, env: Env) -> bool | list[tuple[str, ...]] | None:
        """What an item freezes: all of it or nothing, or paths inside; None where none is said."""
        value, loc = item.freeze, deeper(item.loc, "freeze")
        try:
            found = self.value(value, env, loc)
            if isinstance(value, tuple):
                found = [self.text(t, env, deeper(loc, k)) for k, t in enumerate(value)]
        except HiddenError:
            return None
        if found is None or isinstance(found, bool):
            return found
        if isinstance(found, list) and all(isinstance(t, str) and is_path(f"a.{t}") for t in found):
            return [tuple(text.split(".")) for text in found]
        message = f"`freeze` is {show(found)}; it takes true, false or a list of paths"
        self.fault("E361", message, loc, cause=(getattr(value, "text", ""), message))
        return None

    def fillers(self, init: Init | None, env: Env) -> Init | None:
        """Fillers with their arguments evaluated; None where there are none or one is hidden."""
        try:
            return init and {
                op: {k: self._filler(f, env) for k, f in by.items()} for op, by in init.items()
            }
        except HiddenError:
            return None

    def _filler(self, filler: Filler, env: Env) -> Filler:
        if not has_expression([*filler.args.values()]):
            return filler
        args = {k: self.value(v, env, filler.loc) for k, v in filler.args.items()}
        return replace(filler, args=args)

    def record(self, kind: TensorType | None) -> Any:
        """What expressions see of a tensor."""
        return UNKNOWN if kind is None else Record(kind.shape)

    def seen(self, value: Value) -> Any:
        """What expressions see of a value, and which it is."""
        return UNKNOWN if value.type is None else Seen(value.type.shape, value)

    # ------------------------------------------------------------ layers and types

    def plan(self, item: Item) -> Plan:
        found = self.plans.get(id(item))
        if found is None:
            self.worked(WRITTEN, item.loc)
            found = self.plans[id(item)] = Plan(item)
        return found

    def canonical(self, kind: TensorType) -> TensorType:
        """The one object for a type."""
        return self.types.setdefault(kind, kind)

    def layer(self, op: str, args: Mapping[str, Any], item: Item, loc: Loc | None = None) -> Layer:
        """The layer for an op; equal arguments give the same object. Raises HiddenError.

        `loc` is where the op is written, if not in the item itself.
        """
        key = (op, frozen(args))
        found = self.layers.get(key)
        if found is None:
            self.worked(LAYER, item.loc)
            try:
                found = self.layers[key] = create(op, args)
            except BadArgument as bad:
                path = (op,) if bad.field is None else (op, bad.field)
                fault = Fault(bad.code, bad.message, deeper(loc or item.loc, *path), bad.help)
                self.wrong(_argument(item, bad.field), fault, f"`{op}`")
                raise HiddenError from None
        return found

    def infer(self, layer: Layer, types: Types, loc: Loc) -> tuple[TensorType, ...]:
        """The types of an op's outputs. Raises Mismatch, and TooLargeError past the limits."""
        key = (id(layer), *map(id, types))
        found = self.inferred.get(key)
        if found is None:
            raw = layer.infer(*types)
            self._small(layer, types, raw, loc)
            found = self.inferred[key] = tuple(map(self.canonical, raw))
            self.kept += (layer, *types)
        return found

    def _small(self, layer: Layer, types: Types, outs: tuple[TensorType, ...], loc: Loc) -> None:
        made: list[tuple[str, TensorType | Weight]] = [("the output", kind) for kind in outs]
        made += [(f"`{w.name}`", w) for w in layer.weights(*types)]
        most = self.limits.elements
        for what, array in made:
            if array.size > most:
                shape = f"{list(array.shape)}, more than {most:,} elements"
                message = f"{what} of `{layer.op}` has the shape {shape}"
                fault = Fault("E408", message, loc, _RAISE.format("elements"))
                raise TooLargeError(fault, array.shape)

    def size(self, axis: str, size: int) -> int:
        """The size of a free axis of an input."""
        return size

    # ------------------------------------------------------------ limits

    def enter(self, link: Link) -> None:
        """One call deeper. Raises LimitError."""
        item = link.item
        self.links.append(link)
        self.depth += 1
        if self.depth > self.limits.depth:
            most = self.limits.depth
            message = (
                f"`{item.said}` is called {self.depth} levels deep; at most {most} are allowed"
            )
            raise self.stop("E407", message, item.key, "end the recursion with `when`")

    @contextmanager
    def inside(self, link: Link) -> Iterator[None]:
        """For what a call works out before it is entered: the defaults of its params."""
        self.links.append(link)
        try:
            yield
        finally:
            self.links.pop()

    def leave(self) -> None:
        self.links.pop()
        self.depth -= 1

    def too_long(self, loc: Loc) -> LimitError:
        most, help = self.limits.steps, f"leave out what is absent, or {MORE}"
        message = (
            f"to unroll it takes more than {most:,} copies, calls and absent items; "
            "they are counted, though they leave few ops"
        )
        return self.stop("E406", message, loc, help)

    def too_much(self, loc: Loc) -> LimitError:
        message = (
            f"to work the network out takes more than {self.limits.work:,} operations: copies, "
            "inputs and expressions count, and each layer, call and group unlike those before it"
        )
        help = f"compute a long list once, in `params` of the document; {MORE}"
        return self.stop("E406", message, loc, help)

    def too_many(self, count: int, loc: Loc, repeat: Any = None) -> LimitError:
        """There are too many ops; `repeat` is how many copies are asked for, as written."""
        most = self.limits.nodes
        shown = f"{count:,}" if count < 10**15 else "more than 10^15"
        message = f"the network unrolls to at least {shown} ops; at most {most:,} are allowed"
        fault = Fault("E406", message, loc, MORE)
        return self.stop_at(fault, self.place_of([count], repeat), repeat, "`repeat`")


USED = "used from"
LARGE = 1_000  # a number from which on it may be one that was not meant
COMPARE = "compare"
_RAISE = "raise `Limits({}=…)` from Python if it is meant"


def block_of(loc: Loc) -> Path:
    """Where the block is written that a place belongs to; () for the document's own body."""
    return loc.path[:2] if loc.path[:1] == ("blocks",) else ()


def _odd(fault: Fault) -> tuple[Step, ...]:
    """The one value that is no size among those that a fault comes of.

    A word or a truth is often right: it is named where the sentence speaks of it.
    """
    odd = [at for at in fault.cause if isinstance(at, origin.Odd) and at.loc != fault.loc]
    spoken = [at for at in odd if not _WORD.match(at.text) or f"`{at.text}` is" in fault.message]
    if len(odd) != 1 or not spoken:
        return ()
    name = next(step for step in reversed(odd[0].loc.path) if isinstance(step, str))
    return (Step(odd[0].loc, f"`{name}` is {odd[0].text}", COMPARE),)


def _argument(item: Item, field: str | None) -> Any:
    """An argument as written; all, where it is no one of them that is wrong.

    `unflatten: [$maps, 1, 1]` is its `shape` under its first name.
    """
    if field is None:
        return [*item.args.values()]
    only = [*item.args.values()][:1] if len(item.args) == 1 else []
    return item.args.get(field, next((value for value in only if isinstance(value, list)), None))


def frozen(value: Any) -> object:
    """A key that tells 1, 1.0 and true apart."""
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return tuple((k, frozen(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ("list", *map(frozen, value))
    return (type(value).__name__, value)


def deeper(loc: Loc, *path: str | int) -> Loc:
    """The place of a value inside of what stands at `loc`."""
    return Loc(loc.file, (*loc.path, *path), span=loc.span)


def _said(link: Link, before: Link | None) -> str:
    """`Bottleneck, copy 1 of 4, stride = 2`."""
    item = link.item
    text = item.said if link.args is not None or item.id is None else item.id.text
    copy = link if link.count else before
    if copy is not None and copy.count:
        text += f", copy {copy.index + 1} of {copy.count}"
    computed = [k for k, v in item.args.items() if isinstance(v, Expr)]
    if link.args is not None:
        known = [k for k in computed if link.args.get(k, UNKNOWN) is not UNKNOWN]
        text += "".join(f", {k} = {_plain(link.args[k])}" for k in known[:_SHOWN])
    return text


def _plain(value: Any) -> str:
    return written(value) if isinstance(value, (bool, str)) else show(value)
