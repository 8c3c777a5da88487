"""Spec → complaints: the second pass, over what has the right form: names.

A param, a block, a variant is not there, is declared twice, or has no value yet. Which names have
one where, the table "where | may use" of docs/language.md says; a place has one `Sight`.

    params: {width: 8}
    body: [{repeat: {n: [1, 2]}, conv: {out: $widht, …}}]   # sees width, n, loop, prev, input
    E219 `widht` is not known here
"""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from archspec.expressions import Expr, Template
from archspec.language.complaints import Complaints, item_of
from archspec.language.models import LEFT_OUT, Block, Item, Spec
from archspec.language.names import STRUCTURE, is_block
from archspec.language.refusals import Steps
from archspec.language.values import REQUIRED, Axis, Init, Ref, Repeat, Value
from archspec.layers import REGISTRY
from archspec.text.faults import unread
from archspec.text.words import cut, free, listed

_NAME = re.compile(r"(?<![A-Za-z0-9_.])[A-Za-z_][A-Za-z0-9_]*")

NOTHING: frozenset[str] = frozenset()

_SOUGHT = 50  # unknown params of one call that are looked for among those that there are
_VALUES = frozenset({"when", "shortcut_when", "freeze", "expect"})  # fields that may be read from


class Where(Enum):
    """What an expression stands in, and so what kinds of names it may read."""

    VALUE = "arguments, `when`, `expect`, `init`"
    SEGMENT = "`id`, `from`, `shared`, `tie`"
    COUNT = "`repeat`, `input`, `outputs`, the document's `init`"
    DEFAULT = "`params`, `variants`"


@dataclass(frozen=True, slots=True)
class Sight:
    """The names that expressions at one place see."""

    params: Mapping[str, object] = field(default_factory=dict)
    inputs: Collection[str] = NOTHING  # the records
    columns: frozenset[str] = NOTHING
    loop: bool = False
    items: ChainMap[str, bool] = field(default_factory=ChainMap)  # ids of earlier items
    later: Collection[str] = NOTHING  # declared, but without a value at this place
    rest: str = ""  # the input that is a list
    optional: frozenset[str] = NOTHING  # inputs that may be left out: the fields of `given`

    def inside(self, columns: Collection[str]) -> Sight:
        """What an item with a `repeat` of these columns, and everything in it, sees."""
        return replace(self, columns=self.columns | frozenset(columns), loop=True)

    def sees(self, name: str, where: Where) -> bool:
        """Whether a name has a value."""
        if name in self.params or name in self.columns or (name and name == self.rest):
            return True
        if name == "given":
            return bool(self.optional)
        if name == "loop":
            return self.loop and where in (Where.VALUE, Where.SEGMENT)
        if where is Where.VALUE:
            return name == "prev" or name in self.inputs or name in self.items
        return where is Where.DEFAULT and name in self.inputs

    def names(self, where: Where) -> Iterator[str]:
        """All names that have a value, sorted."""
        every = {*self.params, *self.columns, *self.inputs, *self.items, "prev", "loop", "given"}
        yield from sorted(name for name in every if self.sees(name, where))


class Scopes:
    """Looks up the names of one document."""

    def __init__(self, spec: Spec, to: Complaints) -> None:
        self.spec, self.to = spec, to
        # whether params of the document are spoken of, so that none at all are one mistake
        self.needs_params = bool(spec.variants) or "params" in to.data
        self.called: set[str] = set()  # blocks
        self.strange: list[Item] = []  # calls of none
        self.nothing: list[tuple[Item, str]] = []  # arguments that are null
        # params and columns, by the block they stand in: where, and which of them are read
        self.declared: dict[tuple[str, str], Steps] = {}
        self.read: set[tuple[str, str]] = set()

    def document(self) -> None:
        """Notes what is wrong with the names of the whole document."""
        spec = self.spec
        self.variants()
        self.hidden(spec.params, spec.inputs, ("params",))
        self.inputs(Sight(spec.params))
        for use in spec.use.values():
            self.outputs(use.outputs, Sight())
        for block in spec.blocks.values():
            self.block(block, Sight(spec.params))
        sight = Sight(spec.params, spec.inputs)
        self.items(spec.items, sight)
        self.outputs(spec.outputs, sight)
        self.init(spec.init, sight, Where.COUNT)
        self.totals()
        self.strangers()
        self.misspelt()

    def params(self, given: Mapping[str, Mapping[Steps, Value]], sight: Sight) -> None:
        """Values of params, by place: each sees those above it, and what `sight` has besides."""
        above: dict[str, object] = {}
        params = ChainMap(above, dict(sight.params))
        seen = replace(sight, params=params, later=given.keys())
        for name, values in given.items():
            for path, value in values.items():
                self.look(value, path, seen, Where.DEFAULT)
            above[name] = values
            self.declare(name, next(iter(values)))

    def declare(self, name: str, path: Steps) -> None:
        self.declared.setdefault((_owner(path), name), path)

    def hidden(self, params: Collection[str], inputs: Collection[str], path: Steps) -> None:
        for name in params:
            if name in inputs:
                self.twice((*path, name), f"`{name}` is a param and an input")

    def twice(self, path: Steps, said: str, help: str = "rename one of them") -> None:
        self.to.add("E206", said, path, help, on_key=True)

    def variants(self) -> None:
        """The document's params: their defaults, and what variants make of them."""
        name, params = self.spec.name, self.spec.params
        given: dict[str, dict[Steps, Value]] = {
            param: {("params", param): value} for param, value in params.items()
        }
        for variant, entry in self.spec.variants.items():
            path: Steps = ("variants", variant)
            if variant == name:
                said = f"`{name}` is the name of the spec itself"
                self.twice(path, said, "choose another name")
            for param, value in entry.items():
                if param in params:
                    given[param][*path, param] = value
                else:
                    where = "in a variant: there is no such param"
                    cause = ("name", "", param) if params else ("params", "")
                    help = self.to.free(param, params, entry)
                    self.to.unknown(param, (*path, param), (), where, *cause, help=help)
        self.params(given, Sight())

    def inputs(self, sight: Sight) -> None:
        sizes: dict[str, Value] = {}
        for one in self.spec.inputs.values():
            for i, axis in enumerate(one.shape):
                path: Steps = (*one.loc.path, "shape", i)
                size = axis.size if isinstance(axis, Axis) else axis
                self.look(size, path, sight, Where.COUNT)
                if isinstance(axis, Axis) and sizes.setdefault(axis.name, size) != size:
                    other = sizes[axis.name]
                    said = f"the axis `{axis.name}` is {size} here and {other} before"
                    said += "; a name has one size"
                    self.to.add("E204", said, (*path, axis.name), "rename one of them")

    def totals(self) -> None:
        """The variants that `expect` and `weights` speak of."""
        self.of_variants(self.spec.expect, ("expect",))
        sources = self.spec.weights.sources if self.spec.weights is not None else {}
        for source, entries in sources.items():
            self.of_variants(entries, ("weights", source))

    def of_variants(self, table: Collection[str], path: Steps) -> None:
        """Notes those of a table that are not there."""
        known = dict.fromkeys((self.spec.name, *self.spec.variants))
        strange = [name for name in table if name not in known]
        left = [name for name in known if name not in table] if strange else []
        only = self.spec.name if len(strange) == 1 and self.spec.name in left else ""
        before = ""
        for name in table:
            if name in known:
                before = name if name in self.spec.variants else before
                continue
            guess = self.to.near(name, left) or only
            help = f"did you mean `{guess}`?" if guess else self.to.did_you_mean("", known)
            cause = ("variant", name) if self.spec.variants else ("variants",)
            said = f"there is no variant `{cut(name)}`"
            self.to.add("E225", said, (*path, name), help, on_key=True, cause=cause)
            self.to.compare(*self._where_variant(guess, before))

    def _where_variant(self, guess: str, before: str) -> tuple[str, Steps]:
        """What may be meant by a variant that is not there: a sentence, and its place."""
        if guess == self.spec.name:
            return f"the spec is called `{guess}`", ("name",)
        if guess:
            return f"`{guess}` is here", ("variants", guess)
        return (f"it would stand behind `{before}`", ("variants", before)) if before else ("", ())

    def block(self, block: Block, document: Sight) -> None:
        """Defaults see the params of the document; the body does not."""
        path = block.loc.path
        if block.name in self.spec.use:
            self.twice(path, f"`{block.name}` is a block and a used file")
        at = (*path, "params")
        given = {name: {(*at, name): value} for name, value in block.params.items()}
        own = Sight(inputs=block.inputs, rest=block.rest, optional=block.optional)
        self.params(given, replace(own, params=document.params))
        self.hidden(block.params, block.inputs, at)
        sight = replace(own, params=block.params)
        self.items(block.items, sight)
        self.outputs(block.outputs, sight)

    # -------------------------------------------------------- items

    def items(self, items: Iterable[Item], sight: Sight) -> None:
        sight = replace(sight, items=sight.items.new_child())
        for item in items:
            if item.op != LEFT_OUT:
                self.item(item, sight)
            for name in _ids(item):
                sight.items[name] = True

    def item(self, item: Item, sight: Sight) -> None:
        if item.repeat is not None:
            self.repeat(item.repeat, sight)
            sight = sight.inside(item.repeat.columns)
        if is_block(item.said):
            self.call(item, item.said)
        self.nothing += [(item, key) for key, value in item.args.items() if value is None]
        for at, value in _values(item):
            self.look(value, at, sight, Where.VALUE)
        if item.id is not None:
            self.id(item, item.id, sight)
        if item.init is not None:
            self.init(item.init, sight, Where.VALUE)
        if item.inputs is not None:
            self.slots(item, item.inputs)
        for ref in item.refs:
            self.look(ref.path, ref.loc.path, sight, Where.SEGMENT)
        inner = (item.items, item.shortcut, *(one.items for one in item.branches))
        for items in filter(None, inner):
            self.items(items, sight)

    def id(self, item: Item, written: Template, sight: Sight) -> None:
        path: Steps = (*item.loc.path, "id")
        self.look(written, path, sight, Where.SEGMENT)
        own = {"loop", *item.repeat.columns} if item.repeat is not None else set()
        if own and "." in written.text.partition("$")[0] and written.names.isdisjoint(own):
            said = f"`{cut(written.text)}` names one item of a container; copies have names each"
            self.to.add("E205", said, path, "let it tell them apart: `convs.$(loop.index)`")

    def repeat(self, repeat: Repeat, sight: Sight) -> None:
        path = repeat.loc.path
        for name in repeat.columns:
            self.declare(name, (*path, name))
            if name in sight.inputs:
                said = f"the column `{name}` hides an input of that name"
                self.twice((*path, name), said, "choose another name")
        self.look(repeat.count, path, sight, Where.COUNT)
        own = {*sight.later, *repeat.columns}
        self.look(repeat.columns, path, replace(sight, later=own), Where.COUNT)

    def slots(self, item: Item, inputs: Iterable[Ref]) -> None:
        """`from` by the names of the operation's inputs."""
        if isinstance(item.callee, Expr):
            return  # it is known once the expression has a value
        slots = [ref for ref in inputs if ref.slot is not None]
        word = item.said
        if word not in REGISTRY and word not in STRUCTURE and self.callee(word) is None:
            return  # that it is not there is said
        known = self.takes(word) if slots else ()
        if known is None:
            said, help = f"the inputs of `{word}` have no names", "write a list: `from: [a, b]`"
            self.to.add("E204", said, (*item.loc.path, "from"), help)
            return
        for ref in slots:
            if ref.slot not in known:
                where = f"as an input of `{word}`"
                self.to.unknown(str(ref.slot), ref.loc.path, known, where)

    def callee(self, op: str) -> Block | Spec | None:
        """What an operation calls: a block or a used file; None also where that has faults."""
        used = self.spec.use.get(op)
        return self.spec.blocks.get(op) if used is None else used.spec

    def takes(self, op: str) -> tuple[str, ...] | None:
        """The names of an operation's inputs, where they have any."""
        inside = self.callee(op)
        if inside is not None:
            return tuple(inside.inputs) if inside.named_inputs else None
        cls = REGISTRY.get(op)
        if cls is None or cls.takes == ("*",):
            return None
        return tuple(name.rstrip("?") for name in cls.takes)

    def call(self, item: Item, op: str) -> None:
        """Of a block: there is one, it has these params, and those it needs are given."""
        args, path = item.args, item.given
        if op not in self.spec.blocks and op not in self.spec.use:
            self.strange.append(item)
            return
        self.called.add(op)
        inside = self.callee(op)
        if inside is None:
            return
        params = inside.params
        if "" in args:
            said, help = f"`{op}` takes no parameters", f"write `{op}` alone"
            items = op.lower() in STRUCTURE and isinstance(args[""], list)
            help = f"did you mean `{op.lower()}`?" if items else help
            self.to.add("E208", said, path, help, on_key=items, cause=("params", op))
        unknown = [key for key in args if key not in params]
        self.unknown(op, [key for key in unknown if key], item)
        missing = [key for key in params if params[key] is REQUIRED and key not in args]
        if missing and not unknown:  # a misspelt one is missing only once
            given = f"{{{missing[0]}: …}}"
            help = f"write `with: {given}`" if item.op == "call" else f"write `{op}: {given}`"
            at = path if item.op != "call" or args else item.key.path
            self.to.add("E209", f"`{op}` needs {listed(missing)}", at, help, on_key=True)

    def unknown(self, op: str, keys: list[str], item: Item) -> None:
        """Arguments that a block does not have: several that are like none of its are one fault."""
        inside = self.callee(op)
        params = inside.params if inside is not None else {}
        if not keys:
            return
        sought = [] if self.to.full else keys[:_SOUGHT]
        meant = {key for key in sought if free(key, params, item.args)}
        blocks = self.spec.blocks if sought else ()
        others = [name for name in blocks if self.takes_all(name, item.args)]
        if others and len(keys) < len(item.args) and not meant:
            said = f"`{op}` has no parameter{'s' * (len(keys) > 1)} {listed(map(cut, keys))}"
            help = f"did you mean {listed(others, 'or')}? It takes all that is given here"
            cause = ("name" if len(keys) == 1 else "names", op, *keys)
            self.to.add("E208", said, item.key.path, help, on_key=True, cause=cause)
            return
        strange = dict.fromkeys(key for key in keys if key not in meant)
        if strange and 2 * len(keys) > len(item.args):  # another is near to one by chance
            strange = dict.fromkeys(keys)
        if params and len(strange) > 1:
            alone = len(strange) == len(item.args)  # another block may be meant
            at = item.given if alone else (*item.given, next(iter(strange)))
            said = f"`{op}` has no parameters {listed(cut(key) for key in strange)}"
            help = self.to.did_you_mean("", params)
            self.to.add("E208", said, at, help, on_key=True, cause=("names", op, *strange))
            keys = [key for key in keys if key not in strange]
        for key in keys:
            said = f"`{op}` has no parameter `{cut(key)}`"
            help = self.to.free(key, params, item.args) or f"`{op}` takes no parameters"
            cause = ("name", op, key) if params else ("params", op)
            self.to.add("E208", said, (*item.given, key), help, on_key=True, cause=cause)

    def takes_all(self, block: str, args: Collection[str]) -> bool:
        """Whether a block has all of some params, and needs no other."""
        params = self.spec.blocks[block].params
        needed = {name for name, value in params.items() if value is REQUIRED}
        return needed <= {*args} <= params.keys()

    def strangers(self) -> None:
        """Calls of blocks that are not there; one that nothing calls may be meant."""
        blocks = [*self.spec.blocks, *self.spec.use]
        idle = [name for name in blocks if name not in self.called]
        calls: dict[str, list[Item]] = {}
        for item in self.strange:
            calls.setdefault(item.said, []).append(item)
        for word, items in calls.items():
            likely = self.to.near(word, idle)
            if len(items) > 1 and likely:
                at = ("use" if likely in self.spec.use else "blocks", likely)
                said = f"nothing calls the block `{likely}`; `{cut(word)}`, which is called"
                said += f" {len(items)} times, is not there"
                self.to.add("E207", said, at, f"did you mean `{cut(word)}`?", on_key=True)
                continue
            for item in items:
                path, on_key = item.key.path, item.key.on_key and item.op != "call"
                self.to.no_operation(word, path, blocks, on_key=on_key, likely=likely)

    def misspelt(self) -> None:
        """A name that is read more than once and declared nowhere, beside one that nothing reads.

        Then the slip is where that is declared: one place, and not all the others.
        """
        self.undeclared()
        named = (self.to.file, "name")
        times = Counter(fault.cause for fault in self.to.faults if fault.cause[:2] == named)
        unread: dict[str, dict[str, Steps]] = {}
        for (owner, name), at in self.declared.items():
            if (owner, name) not in self.read:
                unread.setdefault(owner, {})[name] = at
        for cause, count in times.items():
            owner, name = map(str, cause[2:])
            idle = unread.get(owner, {})
            likely = self.to.near(name, idle)
            if not likely:
                continue
            if count == 1:  # what nothing reads is rather meant than what is read elsewhere
                help = f"did you mean `{likely}`?"
                self.to.faults = [
                    replace(fault, help=help) if fault.cause == cause else fault
                    for fault in self.to.faults
                ]
                continue
            self.to.faults = [fault for fault in self.to.faults if fault.cause != cause]
            said = f"nothing reads `{likely}`; `{cut(name)}`, which is spoken of {count} times,"
            help = f"did you mean `{cut(name)}`?"
            self.to.add("E219", f"{said} is not declared", idle[likely], help, on_key=True)

    def undeclared(self) -> None:
        """Where the document has no params, of names in several items the first item's are said."""
        document = (self.to.file, "name", "")
        faults = [fault for fault in self.to.faults if fault.cause[:3] == document]
        if self.spec.params or len({fault.cause for fault in faults}) < 2:
            return
        first = item_of(faults[0].loc.path)
        gone = {id(fault) for fault in faults if item_of(fault.loc.path) != first}
        self.to.faults = [fault for fault in self.to.faults if id(fault) not in gone]

    def outputs(self, given: Mapping[str, tuple[Ref, ...]] | None, sight: Sight) -> None:
        for refs in (given or {}).values():
            for ref in refs:
                self.look(ref.path, ref.loc.path, sight, Where.SEGMENT)

    def init(self, given: Init | None, sight: Sight, where: Where) -> None:
        for fillers in (given or {}).values():
            for filler in fillers.values():
                self.look(filler.args, filler.loc.path, sight, where)

    # -------------------------------------------------------- expressions

    def look(self, value: Value, path: Steps, sight: Sight, where: Where) -> None:
        """Notes the names in a value as written that have no value at this place."""
        if isinstance(value, Expr):
            self.expression(value, path, sight, where)
        elif isinstance(value, Template):
            for part in value.parts:
                self.look(part, path, sight, where)
        elif isinstance(value, dict):
            for key, entry in value.items():
                self.look(entry, (*path, key), sight, where)
        elif isinstance(value, (list, tuple)):
            for i, entry in enumerate(value):
                self.look(entry, (*path, i), sight, where)

    def expression(self, expr: Expr, path: Steps, sight: Sight, where: Where) -> None:
        """Notes the names of an expression that have none, and fields of what is no record."""
        blind = [name for name in sorted(expr.names) if not sight.sees(name, where)]
        for owner in {_owner(path), "" if path[2:3] == ("params",) else _owner(path)}:
            self.read.update((owner, name) for name in expr.names)
        for name in blind:
            self.blind(name, expr, path, sight, where)
        if blind:
            return
        for owner, key in expr.fields:
            if owner == "given" and key not in sight.optional:
                said = f"`{cut(key)}` is no input that a call may leave out"
                help = self.to.did_you_mean(key, sight.optional) or f"`given.{min(sight.optional)}`"
                self.to.add("E220", said, path, help, span=_span(expr, owner))
            elif owner in sight.params or owner in sight.columns:
                what = "column" if owner in sight.columns else "param"
                said = f"`{owner}` is a {what}, which has no `.{key}`"
                help = f"write `${owner}`; fields have `prev`, `loop`, inputs and ids of items"
                if owner in sight.items:
                    said = f"`{owner}` is a {what} here, and the id of an item"
                    help = "give the item another `id`"
                self.to.add("E220", said, path, help, span=_span(expr, owner))

    def blind(self, name: str, expr: Expr, path: Steps, sight: Sight, where: Where) -> None:
        span = _span(expr, name)
        if name == "loop":
            only = "not in `repeat` itself" if sight.loop else "only inside a `repeat`"
            self.to.add("E220", f"`loop` has a value {only}", path, span=span)
        elif name == "given":
            said = "`given` tells which optional inputs a block has; there are none here"
            help = "`?` behind its name makes an input optional: `inputs: [x, skip?]`"
            self.to.add("E220", said, path, help, span=span)
        elif path[2:] == ("params", name) and name not in self.spec.params:
            # `drop: $drop` of a block means the document's
            help = self.to.did_you_mean(name, self.spec.params) or "declare it in `params`"
            said = f"the document has no param `{name}`"
            none = not self.spec.params and self.needs_params
            cause: tuple[str, ...] = ("params", "") if none else ("name", "", name)
            self.to.add("E219", said, path, help, span=span, cause=cause)
        elif name in sight.later:
            help = "a param sees those above it; a column sees none of its own `repeat`"
            self.to.add("E220", f"`{name}` has no value here yet", path, help, span=span)
        elif name in ("prev", "input") or name in sight.inputs:
            help = "only params and columns have"
            called = sorted(n for n in sight.inputs if sight.sees(n, where))
            if name == "input" and called:
                are = "input is" if len(called) == 1 else "inputs are"
                help = f"the {are} called {listed(called)}"
            cause = ("value", _owner(path), name)
            said = f"`{name}` has no value here"
            self.to.add("E220", said, path, help, span=span, cause=cause)
        else:
            owner = _owner(path)
            # one fault: the block declares no params, or the document, which speaks of them
            none = not sight.params and (bool(owner) or self.needs_params)
            cause = ("params", owner) if none else ("name", owner, name)
            seen = () if unread(len(self.to.faults), sight.params) else sight.names(where)
            help = self.to.did_you_mean(name, seen)
            self.to.add(
                "E219", f"`{cut(name)}` is not known here", path, help, span=span, cause=cause
            )


def _owner(path: Steps) -> str:
    """The block that a place is in; "" for the document."""
    return str(path[1]) if path[0] == "blocks" else ""


def _values(item: Item) -> Iterator[tuple[Steps, Value]]:
    """The values of an item, by place, that see all that expressions may."""
    if item.callee is not None:
        yield (*item.loc.path, "call"), item.callee
    if item.args:
        given = item.given
        yield from (((*given, key), value) for key, value in item.args.items())
    yield from (((*item.loc.path, k), getattr(item, k)) for k in _VALUES & item.model_fields_set)
    if item.merge is not None:
        yield (*item.loc.path, "merge", item.merge.op), item.merge.args


def _ids(item: Item) -> Iterator[str]:
    """The ids under which what comes behind an item sees it, and what is in it."""
    if item.id is not None:
        if not item.id.names:
            yield item.id.text
        return
    for inner in (*item.items, *(item.shortcut or ())):
        yield from _ids(inner)
    for branch in item.branches:
        if branch.key is not None:
            yield branch.key
        else:
            for inner in branch.items:
                yield from _ids(inner)


def _span(expr: Expr, name: str) -> tuple[int, int]:
    """Where a name stands in the scalar of its expression."""
    names = (found.start() for found in _NAME.finditer(expr.text) if found[0] == name)
    start = expr.offset + next(names, 0)
    return start, start + len(name)
