"""`weights` as written → Weights: sources by variant, and the table of renames."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from archspec.expressions import ExpressionError, Template
from archspec.language.form import Form, Path
from archspec.language.renames import Pattern, Published, Rename, Weights, names, pattern
from archspec.text.words import cut, did_you_mean

SOURCES = ("torchvision", "timm", "file")
_KEYS = (*SOURCES, "rename")
FILE = ("path", "url", "sha256")
ENTRY = ("from", "axis", "part", "order", "reshape")
_WORDS = {
    "torchvision": (
        re.compile(r"[A-Za-z]\w*\.[A-Za-z]\w*", re.ASCII),
        "an entry of a weights enum, for example `ResNet50_Weights.IMAGENET1K_V2`",
    ),
    "timm": (
        re.compile(r"[a-z]\w*(\.\w+)*", re.ASCII),
        "the name of a model, for example `resnet50.a1_in1k`",
    ),
}
_SHA = re.compile(r"[0-9a-f]{64}")


def section(form: Form, node: Any, variants: Collection[str], *, hazy: bool) -> Weights | None:
    """The section of a document; `hazy`: a fault hides which variants there are."""
    if node is None:
        return None
    if not isinstance(node, dict):
        help = "for example `{torchvision: ResNet50_Weights.IMAGENET1K_V2}`"
        form.wrong_kind("`weights`", "a mapping", node, ("weights",), help)
        return None
    form.keys(node, ("weights",), _KEYS, "in `weights`")
    reader = _Reader(form, variants, hazy)
    sources = {key: reader.source(key, node[key]) for key in SOURCES if key in node}
    return Weights(sources, reader.table(node.get("rename")))


class _Reader:
    """Reads one section."""

    def __init__(self, form: Form, variants: Collection[str], hazy: bool) -> None:
        self.form, self.variants, self.hazy = form, variants, hazy

    def source(self, key: str, node: Any) -> dict[str, str | Published]:
        """By variant; what is written without one is for the first, the spec itself."""
        path: Path = ("weights", key)
        name = next(iter(self.variants), "")
        if not isinstance(node, dict) or not node or (key == "file" and set(node) & set(FILE)):
            return {name: self.one(key, node, path)}
        found = {}
        for variant, entry in node.items():
            if variant not in self.variants and not self.hazy:
                message = f"there is no variant `{cut(variant)}`"
                help = did_you_mean(variant, self.variants)
                self.form.fault("E225", message, (*path, variant), help, on_key=True)
                continue
            found[variant] = self.one(key, entry, (*path, variant))
        return found

    def one(self, key: str, node: Any, path: Path) -> str | Published:
        if key == "file":
            return self.file(node, path)
        text = self.form.text(node, path, f"`{key}`")
        regex, wanted = _WORDS[key]
        if text and not regex.fullmatch(text):
            self.form.fault(
                "E228", f"`{cut(text)}` is not {wanted.partition(',')[0]}", path, wanted
            )
        return text

    def file(self, node: Any, path: Path) -> Published:
        form = self.form
        if not isinstance(node, dict):
            form.wrong_kind(
                "`file`", "a mapping", node, path, "`{path: net.safetensors, sha256: …}`"
            )
            return Published(None, None, "")
        given: dict[str, Any] = node
        form.keys(given, path, FILE, "in `file`")
        if ("path" in given) == ("url" in given):
            message = "`file` needs exactly one of `path` and `url`"
            form.fault("E228", message, path, "for example `{path: net.safetensors, sha256: …}`")
        texts = {k: form.text(given[k], (*path, k), f"`{k}`") for k in FILE if k in given}
        wrong = _bad_path(texts.get("path") or "x")
        if wrong:
            help = "give a path relative to this file, at or below its folder"
            form.fault("E223", wrong, (*path, "path"), help)
        if texts.get("url") and not re.match(r"https?://\S+$", texts["url"]):
            message = f"`{cut(texts['url'])}` is no address"
            form.fault("E228", message, (*path, "url"), "it begins with https://")
        sha = texts.get("sha256")
        if sha is None and not form.misspelt(given, "sha256", FILE):
            help = (
                "`sha256sum FILE` prints it; without it nothing says that the file is the right one"
            )
            form.fault("E228", "`sha256` is missing", path, help)
        elif sha and not _SHA.fullmatch(sha):
            message = f"`sha256` is `{cut(sha)}`; it is 64 digits 0-9 and a-f"
            form.fault("E228", message, (*path, "sha256"), "`sha256sum FILE` prints it")
        return Published(texts.get("path"), texts.get("url"), sha or "")

    # -------------------------------------------------------- the table

    def table(self, node: Any) -> tuple[Rename, ...]:
        path: Path = ("weights", "rename")
        found = []
        for left, entry in self.form.mapping(node, path, "`rename`").items():
            at = (*path, left)
            try:
                ours = pattern(left)
            except ExpressionError as bad:
                self.form.fault(bad.code, bad.message, at, bad.help, on_key=True)
                continue
            one = self.entry(ours, entry, at)
            if one is not None:
                found.append(one)
        return tuple(found)

    def entry(self, ours: Pattern, node: Any, path: Path) -> Rename | None:
        form = self.form
        if not isinstance(node, dict):
            theirs = self.theirs(ours, node, path)
            return Rename(ours, theirs) if theirs else None
        form.keys(node, path, ENTRY, "in an entry of `rename`")
        if form.lacks(node, "from", ENTRY):
            form.fault("E202", "an entry needs `from`", path, "`from: name`", on_key=True)
        if "from" not in node:
            return None
        theirs = self.theirs(ours, node["from"], (*path, "from"))
        part = self.numbers(node, "part", path, "[k, n]: part k of n, k from 0")
        if part is not None and (len(part) != 2 or not 0 <= part[0] < part[1]):
            message = f"`part` is {list(part)}; it is [k, n], k from 0 and below n"
            form.fault("E229", message, (*path, "part"), "`part: [0, 3]` is the first of three")
        order = self.numbers(node, "order", path, "the axes in their new order")
        if order is not None and sorted(order) != list(range(len(order))):
            message = f"`order` is {list(order)}; it names each axis from 0 once"
            form.fault("E229", message, (*path, "order"), "`order: [1, 0]` exchanges two")
        axis, reshape = node.get("axis", 0), node.get("reshape", False)
        if isinstance(axis, bool) or not isinstance(axis, int) or not 0 <= axis < 16:
            form.wrong_kind("`axis`", "a whole number from 0", axis, (*path, "axis"))
            return None
        if not isinstance(reshape, bool):
            form.wrong_kind("`reshape`", "true or false", reshape, (*path, "reshape"))
            return None
        if not theirs or any(
            fault.code == "E229" and fault.loc.path[: len(path)] == path for fault in form.faults
        ):
            return None
        pair = (part[0], part[1]) if part is not None else None
        return Rename(ours, theirs, axis, pair, order, reshape)

    def numbers(
        self, node: dict[str, Any], key: str, path: Path, wanted: str
    ) -> tuple[int, ...] | None:
        given = node.get(key)
        if key not in node:
            return None
        if isinstance(given, list) and given and all(type(n) is int for n in given):
            return tuple(given)
        self.form.fault("E229", f"`{key}` is not {wanted}", (*path, key))
        return None

    def theirs(self, ours: Pattern, node: Any, path: Path) -> tuple[Template, ...]:
        entries = node if isinstance(node, list) and node else [node]
        found = []
        for i, entry in enumerate(entries):
            at = (*path, i) if isinstance(node, list) and node else path
            text = "" if entry == "" else self.form.text(entry, at, "a name")
            if not text and entry != "":
                continue
            try:
                right = names(text, ours.variables)
            except ExpressionError as bad:
                span = (bad.start, bad.stop)
                self.form.fault(bad.code, bad.message, at, bad.help, span=span)
                continue
            if ours.prefix != (not text or text.endswith(".")):
                message = f"`{cut(ours.text)}` and `{cut(text)}` are not both parts of names"
                help = "a part of a name ends in `.` on both sides, a whole name on neither"
                self.form.fault("E229", message, at, help)
                continue
            found.append(right)
        return tuple(found) if len(found) == len(entries) else ()


def _bad_path(path: str) -> str:
    """Why a path as written may not be read, or ""."""
    if "\\" in path or path.startswith("~") or ":" in path.split("/")[0]:
        return f"`{path}` is no plain relative path; its parts are divided by `/`"
    if path.startswith("/") or ".." in path.split("/"):
        return f"`{path}` leads out of the folder of this file"
    return ""
