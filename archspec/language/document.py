"""A document as written → Spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from archspec.language import expected, fillers
from archspec.language import weights as published
from archspec.language.files import Files, Loader
from archspec.language.form import NOTHING, Form, Path, Sight
from archspec.language.items import Items
from archspec.language.models import REQUIRED, Axis, Block, Input, Spec, Use, Value
from archspec.language.names import (
    bad_axis,
    bad_block,
    bad_document,
    bad_id,
    bad_input,
    bad_output,
    bad_param,
    bad_variant,
)
from archspec.language.operations import Around, Head
from archspec.language.uses import Uses
from archspec.limits import DEFAULT, Limits
from archspec.text.faults import Fault, SpecError, independent
from archspec.text.source import Source
from archspec.text.words import cut, did_you_mean

KEYS = (
    "spec", "name", "title", "cite", "params", "variants", "input", "use", "blocks", "body",
    "sequential", "outputs", "head", "init", "weights", "expect",
)  # fmt: skip
_BLOCK_KEYS = ("params", "inputs", "body", "sequential", "outputs", "note")
_DTYPES = ("float", "int", "bool")
_AXES = 8


def parse(
    source: Source,
    *,
    allow_outside: bool = False,
    limits: Limits = DEFAULT,
    loader: Loader | None = None,
) -> Spec:
    """The spec of a source and of all files it uses. Raises SpecError with all independent faults.

    `allow_outside` lets `use` read files outside of the source's folder; `loader(path, name)` reads
    a used file in place of `source.read`.
    """
    files = Files(allow_outside, limits, loader)
    files.sources[source.name] = source
    files.bytes = len(source.text)
    faults: list[Fault] = []
    if source.path is not None:
        files.open.append(str(FilePath(source.path).resolve()))
    spec = _Document(source, files, faults).read()
    if spec is None or faults:
        raise SpecError(_ordered(faults, files), files.sources)
    return spec


def _ordered(faults: list[Fault], files: Files) -> list[Fault]:
    """In the order of the text, file by file."""
    order = {name: i for i, name in enumerate(files.sources)}

    def place(fault: Fault) -> tuple[int, int, int]:
        source = files.sources.get(fault.loc.file)
        where = source.place(fault.loc)[:2] if source else (0, 0)
        return order.get(fault.loc.file, 0), *where

    return independent(sorted(faults, key=place))


class _Document:
    """Reads one file."""

    def __init__(self, source: Source, files: Files, faults: list[Fault]) -> None:
        from archspec.layers import REGISTRY

        self.source = source
        self.files = files
        self.faults = faults
        self.form = Form(source, faults)
        self.ops = REGISTRY
        self.items = Items(self.form, REGISTRY)

    def read(self) -> Spec | None:
        form, node = self.form, self.source.data
        if not isinstance(node, dict):
            what = "the file is empty" if node is None else "a spec is a mapping"
            form.fault(
                "E118", what, (), "start with `spec: 1`; `archspec new` writes a spec to start from"
            )
            return None
        form.keys(node, (), KEYS, "in a document")
        self.version(node)
        name = self.name(node)
        params = self.params(node.get("params"), ("params",), Sight())
        hazy = form.hazy(node, "params", KEYS, bad_param)
        variants = self.variants(node.get("variants"), params, name, hazy=hazy)
        seen = Sight(params=frozenset(params), open=hazy)
        inputs, named = self.inputs(node, seen)
        hazy = hazy or not inputs or any(map(bad_input, inputs if named else ()))
        sight = Sight(params=frozenset(params), inputs=frozenset(inputs), open=hazy)
        self.hidden(params, inputs, ("params",))
        use = Uses(form, self.files, self.source, self.faults, self.other).section(node.get("use"))
        blocks, heads = self.blocks(node, use, seen)
        around = Around(sight, heads, self.hidden_blocks)
        items, numbered = self.body(node, (), around, "the document")
        outputs, lists = (
            form.outputs(node["outputs"], ("outputs",), sight, bad_output)
            if "outputs" in node
            else (None, NOTHING)
        )
        hazy = form.hazy(node, "variants", KEYS, bad_variant) or not self.named(node)
        expect, meant = expected.section(form, node.get("expect"), name, variants, hazy=hazy)
        init = self.init(node, sight)
        head = self.head(node.get("head"))
        weights = published.section(form, node.get("weights"), (name, *variants), hazy=hazy)
        texts = {
            key: form.text(node[key], (key,), f"`{key}`")
            for key in ("title", "cite")
            if key in node
        }
        if self.faults:
            return None
        return Spec(
            name=name, params=params, variants=variants, inputs=inputs, named_inputs=named, use=use,
            blocks=blocks, items=items, numbered=numbered, outputs=outputs, lists=lists, head=head,
            init=init, weights=weights, expect=expect, warnings=meant, sources=self.files.sources,
            loc=form.loc(()), **texts,
        )  # fmt: skip

    # -------------------------------------------------------- the top

    def version(self, node: dict[str, Any]) -> None:
        if self.form.lacks(node, "spec", KEYS):
            self.form.fault(
                "E202",
                "`spec: 1` is missing: the version of the language",
                (),
                "write it as the first line",
            )
        elif "spec" in node and (node["spec"] != 1 or type(node["spec"]) is not int):
            shown = cut(str(node["spec"]))
            self.form.fault(
                "E226",
                f"`spec` is {shown}; this release reads version 1",
                ("spec",),
                "write `spec: 1`",
            )

    def name(self, node: dict[str, Any]) -> str:
        """The spec's name: written, or the file's."""
        if "name" not in node:
            stem = self.source.path.stem if self.source.path is not None else ""
            return stem if stem and not bad_document(stem) else "network"
        name = self.form.text(node["name"], ("name",), "`name`")
        wrong = bad_document(name) if name else ""
        if wrong:
            self.form.fault("E205", wrong, ("name",), "choose another name")
        return name or "network"

    def named(self, node: dict[str, Any]) -> bool:
        """Whether the spec's name is known: not so where it has a fault."""
        if "name" not in node:
            return not self.form.misspelt(node, "name", KEYS)
        return isinstance(node["name"], str) and not bad_document(node["name"])

    def params(self, node: Any, path: Path, sight: Sight) -> dict[str, Value]:
        """Defaults in order; each sees those above it, and what `sight` has besides."""
        form = self.form
        found: dict[str, Value] = {}
        given = form.mapping(node, path, "`params`")
        for name, value in given.items():
            form.name(name, (*path, name), bad_param)
            if value == "required" and isinstance(value, str):
                found[name] = REQUIRED
                continue
            later = frozenset(given) - frozenset(found)
            above = frozenset(found) | sight.params
            seen = Sight(above, sight.inputs, later=later - sight.params, open=sight.open)
            found[name] = form.value(value, (*path, name), seen.params | sight.inputs, seen)
        return found

    def hidden(
        self, params: Mapping[str, Value], inputs: Mapping[str, Any] | tuple[str, ...], path: Path
    ) -> None:
        for name in params:
            if name in inputs:
                self.form.fault(
                    "E206",
                    f"`{name}` is a param and an input",
                    (*path, name),
                    "rename one of them",
                    on_key=True,
                )

    def variants(
        self, node: Any, params: dict[str, Value], name: str, *, hazy: bool
    ) -> dict[str, dict[str, Value]]:
        form = self.form
        found = {}
        above = {param: frozenset(list(params)[:i]) for i, param in enumerate(params)}
        for variant, entry in form.mapping(node, ("variants",), "`variants`").items():
            path: Path = ("variants", variant)
            form.name(variant, path, bad_variant)
            if variant == name:
                form.fault(
                    "E206",
                    f"`{name}` is the name of the spec itself",
                    path,
                    "choose another name",
                    on_key=True,
                )
            values = {}
            for param, value in form.mapping(entry, path, f"the variant `{cut(variant)}`").items():
                if param not in params:
                    if not hazy:
                        where, cause = "in a variant: there is no such param", ("name", "", param)
                        form.unknown(param, (*path, param), params, where, cause)
                    continue
                sight = Sight(params=above[param], later=frozenset(params) - above[param])
                values[param] = form.value(value, (*path, param), sight.params, sight)
            found[variant] = values
        return found

    # -------------------------------------------------------- input

    def inputs(self, node: dict[str, Any], sight: Sight) -> tuple[dict[str, Input], bool]:
        form = self.form
        if "input" not in node:
            if form.lacks(node, "input", KEYS):
                form.fault(
                    "E202",
                    "`input` is missing: the shape of what goes in, without the batch axis",
                    (),
                    "for example `input: [3, 224, 224]`",
                )
            return {}, False
        given = node["input"]
        self.sizes: dict[str, Any] = {}
        if not isinstance(given, dict) or "shape" in given:
            return {"input": self.input(given, ("input",), sight)}, False
        if not given:
            form.fault(
                "E204",
                "`input` is empty",
                ("input",),
                "for example `input: [3, 224, 224]`",
                on_key=True,
            )
        for name in given:
            form.name(name, ("input", name), bad_input)
        return {
            name: self.input(entry, ("input", name), sight) for name, entry in given.items()
        }, True

    def input(self, node: Any, path: Path, sight: Sight) -> Input:
        form = self.form
        dtype: Any = "float"
        shape, at = node, path
        if isinstance(node, dict):
            form.keys(node, path, ("shape", "dtype"), "in an input")
            dtype, shape, at = node.get("dtype", "float"), node.get("shape"), (*path, "shape")
            if dtype not in _DTYPES:
                form.fault(
                    "E204",
                    f"`dtype` is {cut(str(dtype))}; it takes float, int or bool",
                    (*path, "dtype"),
                    did_you_mean(str(dtype), _DTYPES),
                )
                dtype = "float"
        if not isinstance(shape, list):
            form.wrong_kind(
                "an input",
                "a shape",
                shape,
                at if isinstance(node, dict) and "shape" in node else path,
                "for example `[3, 224, 224]`",
            )
            shape = []
        elif not shape:
            form.fault("E204", "the input has no axes", at, "for example `[3, 224, 224]`")
        elif len(shape) > _AXES:
            form.fault(
                "E204",
                f"the input has {len(shape)} axes; at most {_AXES} are allowed",
                at,
                "the batch axis is not written",
            )
        axes = tuple(self.axis(entry, (*at, i), sight) for i, entry in enumerate(shape))
        return Input(shape=axes, dtype=dtype, loc=form.loc(path))

    def axis(self, node: Any, path: Path, sight: Sight) -> Any:
        """A size, an expression, or a free axis with the size that tables use."""
        if isinstance(node, dict) and len(node) == 1:
            ((name, size),) = node.items()
            self.form.name(name, (*path, name), bad_axis)
            value = self.size(size, (*path, name), sight)
            if self.sizes.setdefault(name, value) != value:
                other = self.sizes[name]
                self.form.fault(
                    "E204",
                    f"the axis `{name}` is {value} here and {other} before; a name has one size",
                    (*path, name),
                    "rename one of them",
                )
            return Axis(name=name, size=value)
        return self.size(node, path, sight)

    def size(self, node: Any, path: Path, sight: Sight) -> Value:
        if isinstance(node, str) and "$" in node:
            return self.form.scalar(node, path, sight.params, sight)
        if isinstance(node, bool) or not isinstance(node, int):
            help = (
                f"a free axis has a size for the tables: `{{{node}: 224}}`"
                if isinstance(node, str)
                else ""
            )
            self.form.wrong_kind(
                "an axis", "a whole number, an expression, or a name with a size", node, path, help
            )
        elif node < 1:
            self.form.fault("E204", f"an axis is {node}; it is at least 1", path)
        return node

    # -------------------------------------------------------- use

    def other(self, source: Source, faults: list[Fault]) -> Spec | None:
        """The spec of a file that this one uses."""
        return _Document(source, self.files, faults).read()

    # -------------------------------------------------------- blocks

    def blocks(
        self, node: dict[str, Any], use: dict[str, Use], document: Sight
    ) -> tuple[dict[str, Block], dict[str, Head]]:
        """First what calls must know of all blocks, then their bodies.

        Defaults see the params of the document; bodies do not.
        """
        form = self.form
        given = form.mapping(node.get("blocks"), ("blocks",), "`blocks`")
        self.hidden_blocks = any(form.hazy(node, k, KEYS, bad_block) for k in ("blocks", "use"))
        heads = {name: _used_head(one) for name, one in use.items()}
        heads |= (
            {name: Head(None, ()) for name in node["use"] if name not in use}
            if isinstance(node.get("use"), dict)
            else {}
        )
        first: dict[str, tuple[dict[str, Value], tuple[str, ...]]] = {}
        for name, entry in given.items():
            path: Path = ("blocks", name)
            form.name(name, path, bad_block)
            if name in heads:
                form.fault(
                    "E206",
                    f"`{name}` is a block and a used file",
                    path,
                    "rename one of them",
                    on_key=True,
                )
            if not isinstance(entry, dict):
                form.wrong_kind(
                    f"the block `{cut(name)}`",
                    "a mapping with `body`",
                    entry,
                    path,
                    f"write `{cut(name)}: {{body: […]}}`",
                )
                heads[name] = Head(None, ())
                continue
            form.keys(entry, path, _BLOCK_KEYS, "in a block")
            inputs = self.block_inputs(entry, path)
            sight = replace(document, inputs=frozenset(inputs or ("input",)))
            params = self.params(entry.get("params"), (*path, "params"), sight)
            self.hidden(params, inputs or ("input",), (*path, "params"))
            first[name] = params, inputs
            hazy = form.hazy(entry, "params", _BLOCK_KEYS, bad_param)
            heads[name] = Head(None if hazy else params, inputs)
        blocks = {name: self.block(name, given[name], *head, heads) for name, head in first.items()}
        return blocks, heads

    def block_inputs(self, node: dict[str, Any], path: Path) -> tuple[str, ...]:
        """The names of a block's inputs; none where it has one without a name."""
        form = self.form
        given = node.get("inputs")
        if "inputs" not in node:
            return ()
        at = (*path, "inputs")
        if given == []:
            form.fault(
                "E204", "`inputs` is an empty list", at, "leave it out for one input without a name"
            )
            return ()
        if not isinstance(given, list):
            form.wrong_kind(
                "`inputs`", "a list of names", given, at, "for example `inputs: [x, skip]`"
            )
            return ()
        found: list[str] = []
        for i, name in enumerate(given):
            if not isinstance(name, str):
                form.wrong_kind("an input", "a name", name, (*at, i))
                continue
            wrong = bad_input(name) or (f"`{name}` is given twice" if name in found else "")
            if wrong:
                form.fault(
                    "E205" if name not in found else "E206", wrong, (*at, i), "choose another name"
                )
            found.append(name)
        return tuple(found)

    def block(
        self, name: str, node: dict[str, Any], params: dict[str, Value], inputs: tuple[str, ...],
        heads: Mapping[str, Head],
    ) -> Block:  # fmt: skip
        form = self.form
        path: Path = ("blocks", name)
        hazy = heads[name].params is None or (not inputs and "inputs" in node)
        hazy = hazy or form.misspelt(node, "inputs", _BLOCK_KEYS)
        names = frozenset(inputs or ("input",))
        sight = Sight(params=frozenset(params), inputs=names, open=hazy)
        around = Around(sight, heads, self.hidden_blocks)
        items, numbered = self.body(node, path, around, f"the block `{name}`")
        outputs, lists = (
            form.outputs(node["outputs"], (*path, "outputs"), sight, bad_output)
            if "outputs" in node
            else (None, NOTHING)
        )
        note = form.text(node["note"], (*path, "note"), "`note`") if "note" in node else ""
        return Block(
            name=name, params=params, inputs=inputs or ("input",), named_inputs=bool(inputs),
            items=items,
            numbered=numbered, outputs=outputs, lists=lists, note=note, loc=form.loc(path),
        )  # fmt: skip

    def body(
        self, node: dict[str, Any], path: Path, around: Around, what: str
    ) -> tuple[tuple[Any, ...], bool]:
        """Items, and whether they are numbered."""
        both = [key for key in ("body", "sequential") if key in node]
        if not both:
            if not any(
                self.form.lacks(node, key, KEYS if not path else _BLOCK_KEYS) is False
                for key in ("body", "sequential")
            ):
                self.form.fault(
                    "E202",
                    f"{what} has no `body`",
                    path,
                    "write `body:` and its items below",
                    on_key=bool(path),
                )
            return (), False
        if len(both) > 1:
            self.form.fault(
                "E214",
                f"{what} has `body` and `sequential`",
                (*path, "sequential"),
                "keep one of them",
                on_key=True,
            )
        key = both[0]
        return self.items.body(node[key], (*path, key), around, f"`{key}`"), key == "sequential"

    # -------------------------------------------------------- the rest

    def init(self, node: dict[str, Any], sight: Sight) -> Any:
        if "init" not in node:
            return None
        return fillers.by_op(self.form, node["init"], ("init",), sight.params, sight, self.ops)

    def head(self, node: Any) -> tuple[str, ...]:
        if node is None:
            return ()
        entries = node if isinstance(node, list) else [node]
        found = []
        for i, entry in enumerate(entries):
            path: Path = ("head", i) if isinstance(node, list) else ("head",)
            text = self.form.text(entry, path, "`head`")
            parts = text.split(".")
            if text and (
                bad_id(parts[0])
                or not all((p.isascii() and p.isidentifier()) or p.isdecimal() for p in parts)
            ):
                self.form.fault(
                    "E205",
                    f"`{cut(text)}` is not a path: names and numbers with dots between",
                    path,
                )
            found.append(text)
        return tuple(found)


def _used_head(use: Use) -> Head:
    if use.spec is None:
        return Head(None, ())
    return Head(use.spec.params, tuple(use.spec.inputs) if use.spec.named_inputs else ())
