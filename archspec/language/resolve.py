"""Form → Spec: names are looked up, every part gets its place, shorter spellings are spelt out.

    {id: a, linear: $width}    at body, 0
    Item(op="linear", args={"out": Expr("width")}, id=…, loc=Loc(…, ("body", 0)), …)

What a form may look like has been said already (form.py): here a param, a block, a variant is not
there, is declared twice, or has no value yet.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from archspec.expressions import Template
from archspec.language import expected, form, models, weights
from archspec.language.complaints import Complaints
from archspec.language.fillers import Found
from archspec.language.kinds import Steps
from archspec.language.models import REQUIRED, Axis, Branch, Filler, Input, Ref, Repeat, Spec, Use
from archspec.language.names import STRUCTURE
from archspec.language.renames import Weights
from archspec.language.scopes import Sight, Where, look
from archspec.language.sentences import cut, listed
from archspec.layers import REGISTRY
from archspec.text.faults import Loc

Params = dict[str, Any]
Outputs = dict[str, tuple[Ref, ...]]


@dataclass(frozen=True, slots=True)
class Head:
    """What a call must know of a block: its params (None where they are unknown), its inputs."""

    params: Mapping[str, Any] | None
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """What is known where an item stands: names for expressions, blocks to call."""

    sight: Sight
    blocks: Mapping[str, Head]


class Resolver:
    """Resolves one file; what is wrong with its names goes to the complaints."""

    def __init__(self, to: Complaints, data: dict[str, Any]) -> None:
        self.to, self.data = to, data

    def loc(self, path: Steps, *, on_key: bool = False) -> Loc:
        return Loc(self.to.file, path, on_key)

    def look(self, value: Any, path: Steps, sight: Sight, where: Where) -> None:
        look(value, path, sight, where, self.to)

    def twice(self, path: Steps, said: str, help: str = "rename one of them") -> None:
        self.to.add("E206", said, path, help, on_key=True)

    # -------------------------------------------------------- the document

    def document(self, found: form.Document, name: str, used: dict[str, Spec | None]) -> Spec:
        """The document's spec; `used`: those of the files it uses."""
        use = {key: self.use(key, one, used[key]) for key, one in found.use.items()}
        params = self.params(found.params, ("params",), Sight())
        variants = self.variants(found.variants, params, name)
        seen = Sight(params=params)
        inputs, named = self.inputs(found.input, seen)
        self.hidden(params, inputs, ("params",))
        blocks, heads = self.blocks(found.blocks, use, seen)
        sight = Sight(params=params, inputs=inputs)
        items, numbered = self.body(found, self.data, (), Around(sight, heads))
        outputs, lists = self.outputs(found.outputs, ("outputs",), sight)
        expect, meant = self.expect(found.expect, name, variants)
        init = self.init(found.init, ("init",), sight, Where.COUNT)
        return Spec(
            name=name, title=found.title, cite=found.cite, params=params, variants=variants,
            inputs=inputs, named_inputs=named, use=use, blocks=blocks, items=items,
            numbered=numbered, outputs=outputs, lists=lists, head=tuple(found.head), init=init,
            weights=self.weights(found.weights, (name, *variants)), expect=expect, warnings=meant,
            loc=self.loc(()),
        )  # fmt: skip

    def params(self, given: Params, path: Steps, sight: Sight) -> Params:
        """Defaults in order; each sees those above it, and what `sight` has besides."""
        found: Params = {}
        seen = Sight(ChainMap(found, dict(sight.params)), sight.inputs, later=given.keys())
        for name, value in given.items():
            self.look(value, (*path, name), seen, Where.DEFAULT)
            found[name] = REQUIRED if value == "required" and isinstance(value, str) else value
        return found

    def hidden(self, params: Params, inputs: Collection[str], path: Steps) -> None:
        for name in params:
            if name in inputs:
                self.twice((*path, name), f"`{name}` is a param and an input")

    def variants(self, given: dict[str, Params], params: Params, name: str) -> dict[str, Params]:
        found = {}
        places = {param: place for place, param in enumerate(params)}
        for variant, entry in given.items():
            path: Steps = ("variants", variant)
            if variant == name:
                said = f"`{name}` is the name of the spec itself"
                self.twice(path, said, "choose another name")
            for param, value in entry.items():
                if param not in params:
                    where = "in a variant: there is no such param"
                    self.to.unknown(param, (*path, param), params, where, "name", "", param)
                else:
                    sight = Sight(_Above(places, param), later=params)
                    self.look(value, (*path, param), sight, Where.DEFAULT)
            found[variant] = dict(entry)
        return found

    def inputs(
        self, given: form.Input | dict[str, form.Input], sight: Sight
    ) -> tuple[dict[str, Input], bool]:
        named = isinstance(given, dict)
        sizes: dict[str, Any] = {}
        found = {}
        for name, one in given.items() if isinstance(given, dict) else [("input", given)]:
            path: Steps = ("input", name) if named else ("input",)
            node = self.data["input"][name] if named else self.data["input"]
            at = (*path, "shape") if isinstance(node, dict) else path
            for i, axis in enumerate(one.shape):
                self.axis(axis, (*at, i), sizes, sight)
            found[name] = Input(shape=tuple(one.shape), dtype=one.dtype, loc=self.loc(path))
        return found, named

    def axis(self, axis: Any, path: Steps, sizes: dict[str, Any], sight: Sight) -> None:
        if not isinstance(axis, Axis):
            self.look(axis, path, sight, Where.COUNT)
            return
        name, size = axis.name, axis.size
        self.look(size, (*path, name), sight, Where.COUNT)
        if sizes.setdefault(name, size) != size:
            said = f"the axis `{name}` is {size} here and {sizes[name]} before; a name has one size"
            self.to.add("E204", said, (*path, name), "rename one of them")

    def expect(
        self, given: expected.Expected | None, name: str, variants: Collection[str]
    ) -> tuple[dict[str, dict[str, Any]], frozenset[str]]:
        """Totals by variant, and the warnings that are meant."""
        if given is None:
            return {}, frozenset()
        found = {}
        for variant, totals in given.variants.items():
            own = name if variant == expected.OWN else variant
            if self.variant(own, ("expect", variant), (name, *variants)):
                found[own] = totals
        return found, frozenset(given.warnings)

    def variant(self, name: str, path: Steps, known: Collection[str]) -> bool:
        """Whether there is such a variant."""
        if name in known:
            return True
        cause = () if len(known) > 1 else ("variants",)
        help = self.to.did_you_mean(name, known)
        self.to.add(
            "E225", f"there is no variant `{cut(name)}`", path, help, on_key=True, cause=cause
        )
        return False

    def weights(self, given: weights.Section | None, variants: tuple[str, ...]) -> Weights | None:
        """Sources by variant; what is written without one is for the first, the spec itself."""
        if given is None:
            return None
        sources = {}
        for key in weights.SOURCES:
            one = getattr(given, key)
            if key in given.model_fields_set:
                entries = one if isinstance(one, dict) else {variants[0]: one}
                path: Steps = ("weights", key)
                sources[key] = {
                    v: e for v, e in entries.items() if self.variant(v, (*path, v), variants)
                }
        return Weights(sources, tuple(given.rename))

    # -------------------------------------------------------- blocks

    def use(self, name: str, given: form.Use, spec: Spec | None) -> Use:
        path: Steps = ("use", name)
        outputs, lists = self.outputs(given.outputs, (*path, "outputs"), Sight())
        return Use(
            file=given.file, variant=given.variant, outputs=outputs, lists=lists, spec=spec,
            loc=self.loc(path),
        )  # fmt: skip

    def blocks(
        self, given: dict[str, form.Block], use: dict[str, Use], document: Sight
    ) -> tuple[dict[str, models.Block], dict[str, Head]]:
        """First what calls must know of all blocks, then their bodies.

        Defaults see the params of the document; bodies do not.
        """
        heads = {name: _used_head(one) for name, one in use.items()}
        for name, block in given.items():
            path: Steps = ("blocks", name)
            if name in use:
                self.twice(path, f"`{name}` is a block and a used file")
            inputs = tuple(block.inputs) or ("input",)
            params = self.params(block.params, (*path, "params"), replace(document, inputs=inputs))
            self.hidden(params, inputs, (*path, "params"))
            heads[name] = Head(params, tuple(block.inputs))
        return {name: self.block(name, block, heads) for name, block in given.items()}, heads

    def block(self, name: str, block: form.Block, heads: Mapping[str, Head]) -> models.Block:
        path: Steps = ("blocks", name)
        params = dict(heads[name].params or {})
        inputs = tuple(block.inputs) or ("input",)
        sight = Sight(params=params, inputs=inputs)
        node = self.data["blocks"][name]
        items, numbered = self.body(block, node, path, Around(sight, heads))
        outputs, lists = self.outputs(block.outputs, (*path, "outputs"), sight)
        return models.Block(
            name=name, params=params, inputs=inputs, named_inputs=bool(block.inputs), items=items,
            numbered=numbered, outputs=outputs, lists=lists, note=block.note, loc=self.loc(path),
        )  # fmt: skip

    def body(
        self, holder: form.Block | form.Document, node: dict[str, Any], path: Steps, around: Around
    ) -> tuple[tuple[models.Item, ...], bool]:
        """Items, and whether they are numbered."""
        numbered = holder.body is None
        key = "sequential" if numbered else "body"
        items = holder.sequential if numbered else holder.body
        return self.items(items, node[key], (*path, key), around), numbered

    # -------------------------------------------------------- items

    def items(
        self, given: list[form.Item], node: Any, path: Steps, around: Around
    ) -> tuple[models.Item, ...]:
        entries = enumerate(node) if isinstance(node, list) else [(None, node)]
        return tuple(
            self.item(one, entry, path if i is None else (*path, i), around)
            for one, (i, entry) in zip(given, entries, strict=True)
            if one.op != form.LEFT_OUT
        )

    def item(self, given: form.Item, node: Any, path: Steps, around: Around) -> models.Item:
        op, to = given.op, (*path, given.op) if given.spelt else path
        repeat = self.repeat(given.repeat, (*path, "repeat"), around.sight)
        if repeat is not None:
            around = replace(around, sight=around.sight.inside(repeat.columns))
        sight = around.sight
        found: dict[str, Any] = {"op": op, "loc": self.loc(path), "repeat": repeat}
        found["key"] = self.loc(to, on_key=True) if given.spelt else found["loc"]
        if not given.spelt:
            found["args"] = self.arguments(given, None, to, around)
            return models.Item(**found)
        if op in STRUCTURE:
            found |= self.structure(given, node, path, around)
        elif isinstance(given.args, list) and op in REGISTRY:
            found["inputs"] = self.refs(given.args, node[op], to, sight)
        else:
            found["args"] = self.arguments(given, node[op], to, around)
        if given.from_ is not None:
            found["inputs"] = self.inputs_of(given, node["from"], (*path, "from"), around)
        for key in ("when", "shortcut_when", "freeze", "expect"):
            self.look(getattr(given, key), (*path, key), sight, Where.VALUE)
        self.look(given.id, (*path, "id"), sight, Where.SEGMENT)
        return models.Item(
            **found, id=given.id, when=given.when, shortcut_when=given.shortcut_when,
            tap=given.tap, expect=None if given.expect is None else tuple(given.expect),
            freeze=given.freeze, note=given.note,
            init=self.init(given.init, (*path, "init"), sight, Where.VALUE),
        )  # fmt: skip

    def structure(
        self, given: form.Item, node: dict[str, Any], path: Steps, around: Around
    ) -> dict[str, Any]:
        """What is in a group, a residual, branches; what is shared."""
        op, at = given.op, (*path, given.op)
        if op == "shared":
            return {"target": self.ref(given.shared, at, around.sight)}
        if op == "branches":
            return {
                "branches": self.branches(given.branches, node[op], at, around),
                "merge": given.merge,
            }
        found: dict[str, Any] = {"items": self.items(getattr(given, op), node[op], at, around)}
        if op == "residual":
            found["merge"] = given.merge
            if given.shortcut is not None:
                at = (*path, "shortcut")
                found["shortcut"] = self.items(given.shortcut, node["shortcut"], at, around)
        return found

    def branches(
        self, given: Any, node: Any, path: Steps, around: Around
    ) -> tuple[Branch, ...]:
        named = isinstance(given, dict)
        found = []
        for key, items in given.items() if named else enumerate(given):
            at = (*path, key)
            inside = self.items(items, node[key], at, around)
            found.append(Branch(key=key if named else None, items=inside, loc=self.loc(at)))
        return tuple(found)

    def repeat(self, given: Any, path: Steps, sight: Sight) -> Repeat | None:
        if given is None:
            return None
        loc = self.loc(path)
        if not isinstance(given, dict):
            self.look(given, path, sight, Where.COUNT)
            return Repeat(count=given, loc=loc)
        for name in given:
            if name in sight.inputs:
                said = f"the column `{name}` hides an input of that name"
                self.twice((*path, name), said, "choose another name")
        self.look(given, path, replace(sight, later={*sight.later, *given}), Where.COUNT)
        return Repeat(columns=given, loc=loc)

    def inputs_of(
        self, given: form.Item, node: Any, path: Steps, around: Around
    ) -> tuple[Ref, ...]:
        """`from`: a list, or by the names of the operation's inputs."""
        op = given.op
        if not isinstance(given.from_, dict):
            return self.refs(given.from_, node, path, around.sight)
        known = self.takes(op, around)
        if known is None:
            help = "write a list: `from: [a, b]`"
            self.to.add("E204", f"the inputs of `{op}` have no names", path, help)
            return ()
        found = []
        for slot, template in given.from_.items():
            if slot not in known:
                self.to.unknown(slot, (*path, slot), known, f"as an input of `{op}`")
            else:
                found.append(self.ref(template, (*path, slot), around.sight, slot))
        return tuple(found)

    def takes(self, op: str, around: Around) -> tuple[str, ...] | None:
        """The names of an operation's inputs, where they have any."""
        if op in around.blocks:
            return around.blocks[op].inputs or None
        cls = REGISTRY.get(op)
        if cls is None or cls.takes == ("*",):
            return None
        return tuple(name.rstrip("?") for name in cls.takes)

    # -------------------------------------------------------- arguments

    def arguments(
        self, given: form.Item, node: Any, path: Steps, around: Around
    ) -> Params:
        """Arguments by name."""
        op, args = given.op, given.args
        if op not in REGISTRY:
            args = self.call(op, given, path, around)
        for key, value in args.items():
            at = (*path, key) if isinstance(node, dict) and key in node else path
            self.look(value, at, around.sight, Where.VALUE)
        return args

    def call(self, op: str, given: form.Item, path: Steps, around: Around) -> Params:
        """Of a block: there is one, it has these params, and those it needs are given."""
        if op not in around.blocks:
            self.to.no_operation(op, path, around.blocks, on_key=given.spelt)
            return {}
        params = around.blocks[op].params
        args = given.args
        if not isinstance(args, dict):
            args = self.positional(op, params, args, path)
        if params is None:
            return args
        unknown = [key for key in args if key not in params]
        for key in unknown:
            said = f"`{op}` has no parameter `{cut(key)}`"
            help = self.to.did_you_mean(key, params) or f"`{op}` takes no parameters"
            cause = ("name", op, key) if params else ("params", op)
            self.to.add("E208", said, (*path, key), help, on_key=True, cause=cause)
        missing = [key for key in params if params[key] is REQUIRED and key not in args]
        if missing and not unknown:  # a misspelt one is missing only once
            help = f"write `{op}: {{{missing[0]}: …}}`"
            self.to.add("E209", f"`{op}` needs {listed(missing)}", path, help, on_key=True)
        return args

    def positional(
        self, op: str, params: Mapping[str, Any] | None, value: Any, path: Steps
    ) -> Params:
        """A bare value is the first param a block declares."""
        if value is None or params is None:
            return {}
        if not params:
            said, help = f"`{op}` takes no parameters", f"write `{op}` alone"
            self.to.add("E208", said, path, help, cause=("params", op))
            return {}
        return {next(iter(params)): value}

    # -------------------------------------------------------- paths and fillers

    def ref(self, template: Template, path: Steps, sight: Sight, slot: str | None = None) -> Ref:
        self.look(template, path, sight, Where.SEGMENT)
        return Ref(slot=slot, path=template, loc=self.loc(path))

    def refs(self, given: list[Template], node: Any, path: Steps, sight: Sight) -> tuple[Ref, ...]:
        listed = isinstance(node, list)
        return tuple(
            self.ref(template, (*path, i) if listed else path, sight)
            for i, template in enumerate(given)
        )

    def outputs(
        self, given: dict[str, list[Template]] | None, path: Steps, sight: Sight
    ) -> tuple[Outputs | None, frozenset[str]]:
        """Paths by name, and which of them are lists."""
        if given is None:
            return None, frozenset()
        node = self.data
        for step in path:
            node = node[step]  # type: ignore[index]
        found = {
            name: self.refs(paths, node[name], (*path, name), sight)
            for name, paths in given.items()
        }
        return found, frozenset(name for name in node if isinstance(node[name], list))

    def init(
        self, given: Found | None, path: Steps, sight: Sight, where: Where
    ) -> models.Init | None:
        if given is None:
            return None
        found: models.Init = {}
        for op, fillers in given.items():
            found[op] = {}
            for weight, (name, args, steps) in fillers.items():
                at = (*path, *steps)
                for key, value in args.items():
                    self.look(value, (*at, key), sight, where)
                found[op][weight] = Filler(name=name, args=args, loc=self.loc(at))
        return found


class _Above(Mapping[str, Any]):
    """The params above one of them."""

    def __init__(self, places: Mapping[str, int], param: str) -> None:
        self.places, self.end = places, places[param]

    def __getitem__(self, name: str) -> int:
        return self.places[name]

    def __contains__(self, name: object) -> bool:
        return self.places.get(str(name), self.end) < self.end

    def __iter__(self) -> Iterator[str]:
        return islice(self.places, self.end)

    def __len__(self) -> int:
        return self.end


def _used_head(use: Use) -> Head:
    if use.spec is None:
        return Head(None, ())
    return Head(use.spec.params, tuple(use.spec.inputs) if use.spec.named_inputs else ())
