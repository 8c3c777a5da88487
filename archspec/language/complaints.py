"""What Pydantic refused → complaints: a sentence at a place of the text, with a remedy.

{"type": "extra_forbidden", "loc": ("body", 0, "wehn"), …}
E201 `wehn` has no meaning beside an operation        at body, 0, wehn
help: did you mean `when`?
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, reduce
from itertools import pairwise
from operator import getitem
from typing import TYPE_CHECKING, Any

from pydantic import AliasChoices, AliasPath

from archspec.language.arguments import BESIDE, parameters
from archspec.language.expected import TOTALS, is_total
from archspec.language.models import Block, Input, Spec, Use
from archspec.language.names import COMPANIONS, MODIFIERS, STRUCTURE, is_block
from archspec.language.weights import Entry, Published, Weights
from archspec.layers import REGISTRY
from archspec.layers.complaints import INSTEAD, OUTSIDE
from archspec.text.faults import SHOWN, Fault, Loc, Step, independent, unread
from archspec.text.words import cut, did_you_mean, free, kind, listed, meant, near, written

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from archspec.language.kinds import Form
    from archspec.language.refusals import Steps

_CODE = re.compile(r"E\d{3}")
_ALIKE = 0.75  # ops are many: a word that is less like one is no slip of it
_ENTRY = re.compile(r"an entry of|an axis is the text `(?:\(|[^`]*\)`)")  # `[(3, 3), 8]`
_STRANGE = ("E201", "E219")  # of a word that is not known
_FEW = 6  # such words that a sentence names
_UNKNOWN = (
    "extra_forbidden",
    "E201",
    "E205",
    "E208",
    "E221",
)  # errors of a key that has no meaning
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u201e\xab\xbb"
# What Pydantic's own types take, by the name of their error.
_WANTED = {
    "string_type": "text",
    "dict_type": "a mapping",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "greater_than_equal": "a whole number of at least {ge}",
    "less_than": "a whole number below {lt}",
}
_MISSING = {
    "spec": ("E202", "`spec: 1` is missing: the version of the language",
             "write it as the first line"),
    "input": ("E202", "`input` is missing: the shape of what goes in, without the batch axis",
              "for example `input: [3, 224, 224]`"),
    "body": ("E202", "has no `body`", "write `body:` and its items below"),
    "shape": ("E204", "an input is empty; it takes a shape", "for example `[3, 224, 224]`"),
    "merge": ("E202", "`branches` needs `merge`",
              "add `merge: concat` (or add, mul, mean, max) beside it"),
    "file": ("E202", "a used file needs `file`", "for example `{file: resnet50.yaml}`"),
    "from": ("E202", "an entry needs `from`", "`from: name`"),
    "sha256": (
        "E228", "`sha256` is missing",
        "`sha256sum FILE` prints it; without it nothing says that the file is the right one",
    ),
}  # fmt: skip
# What other tools, and other words for it, call a key of a document or of a block.
_SECTIONS = {
    "version": "spec", "parameters": "params", "args": "params", "config": "params",
    "hyperparams": "params", "configs": "variants", "models": "variants", "in": "input",
    "input_shape": "input", "modules": "blocks", "definitions": "blocks", "layers": "body",
    "network": "body", "import": "use", "include": "use", "returns": "outputs",
    "initialization": "init", "initializer": "init", "weight_init": "init",
    "pretrained": "weights", "arguments": "params",
}  # fmt: skip
# … and what stands beside an operation.
_BESIDE = {
    "name": "id", "label": "id", "input": "from", "inputs": "from", "source": "from",
    "times": "repeat", "repeats": "repeat", "if": "when", "cond": "when", "condition": "when",
    "mode": "merge", "combine": "merge", "join": "merge", "skip": "shortcut",
    "output_shape": "expect",
}  # fmt: skip


class Complaints:
    """The faults of one file."""

    def __init__(self, file: str, data: Any) -> None:
        self.file, self.data = file, data
        self.faults: list[Fault] = []

    def add(
        self, code: str, message: str, path: Steps, help: str = "", *, on_key: bool = False,
        span: tuple[int, int] | None = None, cause: tuple[object, ...] = (),
    ) -> None:  # fmt: skip
        loc = Loc(self.file, path_of(path, self.data), on_key, span)
        cause = (self.file, *cause) if cause else ()
        self.faults.append(Fault(code, message, loc, help, cause=cause))

    def compare(self, said: str, path: Steps) -> None:
        """Names another place to look at, of the fault that was noted last."""
        if said:
            loc = Loc(self.file, path_of(path, self.data), on_key=len(path) > 1)
            self.faults[-1] = replace(self.faults[-1], chain=(Step(loc, said, "compare"),))

    @property
    def full(self) -> bool:
        """Whether no more faults are shown: nobody reads what is meant."""
        return unread(len(self.faults))

    def near(self, word: str, known: Iterable[str], likeness: float = 0.6) -> str:
        """A near word; none where the fault is not shown."""
        return near(word, self._read(known), likeness)

    def did_you_mean(self, word: str, known: Iterable[str]) -> str:
        return did_you_mean(word, self._read(known))

    def _read(self, known: Iterable[str]) -> list[str]:
        """Names among which a word is looked for: of thousands only for the first faults."""
        names = [] if self.full else [*known]
        return [] if unread(len(self.faults), names) else names

    def free(self, word: str, known: Iterable[str], given: Collection[str]) -> str:
        """The remedy for a key beside those that are given; else what is known."""
        names = self._read(known)
        return free(word, names, given) or did_you_mean("", names)

    def unknown(
        self, key: str, path: Steps, known: Collection[str], where: str, *cause: object,
        help: str = "",
    ) -> None:  # fmt: skip
        """A key that has no meaning."""
        said = f"`{cut(key)}` has no meaning {where}"
        help = help or self.did_you_mean(key, known)
        self.add("E201", said, path, help, on_key=True, cause=cause)

    def no_operation(
        self, word: str, path: Steps, blocks: Collection[str], *, on_key: bool, likely: str = ""
    ) -> None:
        """A word that is neither an op nor a block of the file. `likely`: a block it may mean."""
        if self.full:
            said = f"`{cut(word)}` is neither an op nor a block of this file"
            self.add("E207", said, path, on_key=on_key, cause=("block", word))
            return
        why = REGISTRY.refused.get(word)
        if why:
            help = "mend that package; what does not need the op works without it"
            self.add("E207", why, path, help, on_key=on_key)
            return
        ops = [*REGISTRY.names(), *STRUCTURE]
        if is_block(word) or not self.near(word, ops, 1.0):  # `covn` is no `Conv`
            likely = likely or self.near(word, blocks, 1.0)
        own = word.rpartition(".")[2]  # nn.Conv2d, tf.keras.layers.Dense
        plain = re.sub("[123]d$", "", own.lower().replace("_", ""))
        ours = {op.replace("_", ""): op for op in REGISTRY.names()}.get(plain)
        ours = ours or REGISTRY.elsewhere().get(plain)
        if ours and ours != word and not likely:
            said = f"`{cut(word)}` is spelled `{ours}` here"
            self.add("E211", said, path, INSTEAD.get(plain, f"write `{ours}`"), on_key=on_key)
            return
        if plain in OUTSIDE and not likely:
            why, instead = OUTSIDE[plain]
            self.add("E207", f"`{cut(word)}` can be no op: {why}", path, instead, on_key=on_key)
            return
        cause: tuple[object, ...] = ("block", word)
        if is_block(word):
            cause = cause if blocks else ("blocks",)
            said = f"there is no block `{cut(word)}` in this file"
            help = self.did_you_mean(word, blocks) or "declare it under `blocks`"
        else:
            said = f"there is no op `{cut(word)}`"
            help = "`archspec list --ops` shows the ops, those of installed packages too"
        guess = likely or self.near(word, ops, 1.0)
        guess = guess or ("" if is_block(word) else self.near(word, [*ops, *blocks], _ALIKE))
        guess = guess or self.near(word, blocks)
        if guess in blocks:
            help = f"did you mean `{guess}`?"
        else:  # of several ops that are equally near all are told
            help = INSTEAD.get(plain) or meant(word, ops, _ALIKE) or help
        self.add("E207", said, path, help, on_key=on_key, cause=cause)


def together(faults: Iterable[Fault]) -> list[Fault]:
    """The faults; words of one item that are not known, nor near to one that is, in one fault.

    A line that is gone may have said what they are.
    """
    found: dict[object, list[Fault]] = {}
    for fault in _once(independent(faults)):
        _, word, said = fault.message.split("`", 2) if fault.code in _STRANGE else ("", "", "")
        alone = not word or fault.help.startswith(("did you mean", "write"))
        place = fault if alone else (fault.loc.file, item_of(fault.loc.path), said, fault.help)
        found.setdefault(place, []).append(fault)
    return [_joined(several) for several in found.values()]


def _once(faults: Sequence[Fault]) -> Iterator[Fault]:
    """The faults without those of one text, or of entries of one list, behind the first.

    So a block or a variant that is not there, since it stands where it has no meaning; a word that
    is not known, where a column has another's name.
    """
    hiding = [f.loc.path for f in faults if f.code == "E206" and "repeat" in f.loc.path]
    repeated = {path[: path.index("repeat")] for path in hiding}
    odd = [fault for fault in faults if fault.code == "E201"]
    strayed = {_spoken(f) for f in odd if f.message.endswith(("in a block", "in a document"))}
    known: set[object] = set()
    for fault in faults:
        place = _one_text(fault)
        if place in known or (fault.code in ("E207", "E225") and _spoken(fault) in strayed):
            continue
        if fault.code == "E219" and any(fault.loc.path[: len(path)] == path for path in repeated):
            continue
        yield fault
        if place is not None:
            known.add(place)


def _spoken(fault: Fault) -> str:
    """The first word that a fault names."""
    return fault.message.partition("`")[2].partition("`")[0]


def _one_text(fault: Fault) -> object:
    """What is one mistake, if there are several faults of it; None: that is not known."""
    loc = fault.loc
    if fault.code in ("E219", "E220"):
        return loc.file, loc.path
    entry = fault.code == "E204" and _ENTRY.match(fault.message)
    return (loc.file, loc.path[:-1]) if entry else None


def item_of(path: Steps) -> Steps:
    """The item of a body, with all that is in it, around a place; or the mapping."""
    first = next((k for k, step in enumerate(path) if isinstance(step, int)), len(path) - 2)
    return path[: first + 1]


def _joined(several: list[Fault]) -> Fault:
    """One fault of several words of which the same is said."""
    first = several[0]
    if len(several) == 1:
        return first
    words = list(dict.fromkeys(fault.message.split("`", 2)[1] for fault in several))
    said = first.message.split("`", 2)[2].replace(" has no ", " have no ").replace(" is ", " are ")
    return replace(first, message=f"{listed(words[:_FEW])}{' …' * (len(words) > _FEW)}{said}")


class Refused:
    """The errors of one validation, and where in the text they stand."""

    def __init__(self, data: Any, errors: list[ErrorDetails]) -> None:
        self.data = data
        self._keys: dict[Steps, dict[Any, Any]] = {}  # each with the one above, by mapping
        errors.sort(key=lambda error: error["type"] != "extra_forbidden")
        # what is wrong with a key is enough: its value is not looked at
        keys = {error["loc"][:-1] for error in errors if error["loc"][-1:] == ("[key]",)}
        errors = [error for error in errors if error["loc"] not in keys]
        self.errors = [(path_of(error["loc"], data), error) for error in errors]
        self.extra: dict[Steps, list[str]] = {}  # unknown keys, by the mapping they are in
        for path, error in self.errors:
            if error["type"] == "extra_forbidden":
                self.extra.setdefault(path[:-1], []).append(str(path[-1]))

    def hides_names(self) -> bool:
        """Whether one of them stands where names are declared: then no other name is judged."""
        heading = {"name", "params", "variants", "input", "use", "blocks"}
        for path, error in self.errors:
            inside = path[:1] == ("blocks",) and path[2:3] not in ((), ("params",), ("inputs",))
            if path[:1] and path[0] in heading and not inside:
                return True
            if not path and error["type"] == "missing" and error["loc"][-1] == "input":
                return True
        return any(
            self._meant(path, key) in {*heading, "inputs"} or (not path and is_block(key))
            for path, keys in self.extra.items()
            for key in keys[:SHOWN]
        )

    def _meant(self, path: Steps, key: str) -> str:
        """The key of the document or of a block that an unknown one is a slip of."""
        if path and (path[0] != "blocks" or len(path) != 2):
            return ""
        given = at(self.data, path)
        known = [one for one in keys_of(Block if path else Spec) if one not in given]
        if "body" in given or "sequential" in given:
            known = [one for one in known if one not in ("body", "sequential")]
        first = re.match(r"[a-z]*", key)  # of `params {width: 8}`
        if first and first.group() in known:
            return first.group()
        guess = _SECTIONS.get(key.lower(), "")
        if guess in ("body", "blocks"):
            guess = "blocks" if isinstance(given[key], dict) else "body"
        if guess not in known:
            guess = near(key, known)
        return guess or self._by_value(given[key], known if not path else ())

    def _by_value(self, value: Any, absent: Collection[str]) -> str:
        """The key of the document that a value can only belong to."""
        if "name" in absent and isinstance(value, str) and value in self._expected():
            return "name"
        return "body" if "body" in absent and isinstance(value, list) else ""

    def elsewhere(self) -> set[Steps]:
        """Places of errors outside of items: what is to be left out to read the rest."""
        found = set()
        for path, _ in self.errors:
            depth = 3 if path[:1] == ("blocks",) else 1
            if path[depth - 1 : depth] not in (("body",), ("sequential",)):
                found.add(path[:depth])
        return found

    def complain(self, to: Complaints, heads: Mapping[str, Collection[str]]) -> None:
        """One complaint each, but for what follows from another. `heads`: the params of blocks."""
        ops = {path: self._operation(path, heads) for path in self.extra if not _place(path)[1]}
        params = {path: heads.get(op) or parameters(op) for path, op in ops.items()}
        for path, error in self._first(to):
            type_ = error["type"]
            above = path[:-1]
            if type_ == "extra_forbidden":
                self._extra(path, to, ops.get(above, ""), params.get(above, ()))
            elif type_ == "missing":
                self._missing(path, str(error["loc"][-1]), to)
            elif type_ == "no_operation":
                found = error["ctx"]
                to.no_operation(found["said"], path, heads, on_key=found["on_key"])
            elif type_ != "E209" or not set(self.extra.get(above, ())) & set(params.get(above, ())):
                refused(path, error, to)

    def _commas(self, to: Complaints) -> set[Steps]:
        """Places of keys without a value, of which a comma made two.

        It stands for a colon, `{id, fc}`, or in a text without quotes: `{einsum: nd,kd->nk}`.
        """
        wrong = {path for path, _ in self.errors}
        found: set[Steps] = set()
        for path in [p for p, e in self.errors if p and e["type"] in _UNKNOWN]:
            if at(self.data, path) is not None:
                continue
            before = self._above(path)
            value = at(self.data, before) if before else ()
            if before and value is None and self._stands(before, wrong):
                said = f"`,` stands where `:` is meant, after `{cut(str(before[-1]))}`"
                help = f"write `{before[-1]}: {cut(str(path[-1]))}`"
                to.add("E104", said, before, help, on_key=True)
                found |= {before, path}
            elif isinstance(value, str) and before in wrong:
                op = REGISTRY.get(str(before[-1]))
                text = cut(f"{value},{path[-1]}".strip(_QUOTES))
                help = f'write `{before[-1]}: "{text}"`'
                if str(path[-1]).isidentifier():
                    if op is None or op.takes != ("*",):
                        continue
                    help = f"write `{before[-1]}: [{cut(f'{value}, {path[-1]}')}]`"
                said = f"the text of `{before[-1]}` ends at its `,`, since it stands in braces"
                to.add("E104", said, before, help)
                found |= {before, path}
        return found

    def _above(self, path: Steps) -> Steps:
        """The key above one in its mapping, by its path; () where there is none."""
        around = path[:-1]
        if around not in self._keys:
            mapping = at(self.data, around)
            keys = [*mapping] if isinstance(mapping, dict) else []
            self._keys[around] = dict(pairwise(reversed(keys)))
        above = self._keys[around]
        return (*around, above[path[-1]]) if path[-1] in above else ()

    def _stands(self, path: Steps, wrong: Collection[Steps]) -> bool:
        """Whether a key without a value is wrong, or may be an operation."""
        key = str(path[-1])
        return path in wrong or key in REGISTRY or is_block(key)

    def _first(self, to: Complaints) -> Iterator[tuple[Steps, ErrorDetails]]:
        """The errors without those that follow from another one."""
        end, outside, commas = self._early(to), self._outside(to), self._commas(to)
        named = {path for path, error in self.errors if error["type"] == "E205"}
        wrong = {path for path, _ in self.errors}
        # what stands in an item too many is missing in the next: its `- ` stands on another line
        crowded = {p[:-1] for p, error in self.errors if error["type"] == "E214" and p[-1:] != ()}
        bare = {p for p, error in self.errors if error["type"] == "E214" and _before(p)}
        below = {path for path in wrong if self._last_before(path) in wrong}
        for path, error in self.errors:
            type_, missing = error["type"], error["type"] == "missing"
            follows = (
                path in commas
                or (type_ == "extra_forbidden" and path in below)
                or path[:2] in outside
                or path in outside.values()
                or (end and end[: len(path)] == path)
                # what a name that is none stands for is not looked at
                or (type_ != "E205" and any(path[:k] in named for k in range(1, len(path) + 1)))
                or (type_ == "E214" and (_before(path) in crowded or _before(path[:-1]) in bare))
                or (missing and error["loc"][-1] == "merge" and (*path, "branches") in wrong)
            )
            if not follows:
                yield path, error

    def _last_before(self, path: Steps) -> Steps | None:
        """Where the section ends above an operation that stands in the document's own column."""
        section = self._above(path) if len(path) == 1 and path[0] in REGISTRY else ()
        return (*section, *_end(at(self.data, section))) if section else None

    def _outside(self, to: Complaints) -> dict[Steps, Steps]:
        """Keys of a block in the column of blocks, which is said, and the block above each."""
        found: dict[Steps, Steps] = {}
        blocks, above = self.data.get("blocks"), ""
        for name in blocks if isinstance(blocks, dict) else ():
            if name not in keys_of(Block):
                above = name
                continue
            found["blocks", name] = ("blocks", above)
            said = f"`{name}` stands in the column of blocks; it is a key of `{cut(above)}`"
            help = f"indent it below `{cut(above)}`"
            if not above:
                said = f"`{name}` is a key of a block; the name of the block is missing above it"
                help = "write the name of the block above it, for example `Unit:`"
            to.add("E205", said, ("blocks", name), help, on_key=True, cause=("outside", above))
            to.compare(f"`{cut(above)}` is here" if above else "", ("blocks", above))
        return found

    def _early(self, to: Complaints) -> Steps:
        """Where the text ends, if that is before its body begins: that is then all that is said."""
        gone = {str(e["loc"][-1]) for path, e in self.errors if not path and e["type"] == "missing"}
        if "body" not in gone or "spec" in gone or self.extra.get(()) or self._moved("body"):
            return ()
        end = _end(self.data)
        missing = listed([key for key in ("input", "body") if key in gone])
        said = f"the document ends here; {missing} {'are' if len(gone) > 1 else 'is'} missing"
        to.add("E202", said, end, "`body:` comes below, with its items")
        return end

    def _moved(self, key: str) -> bool:
        """Whether a key of the document stands among its blocks, which is said."""
        blocks = self.data.get("blocks")
        return isinstance(blocks, dict) and (
            key in blocks or (key == "body" and "sequential" in blocks)
        )

    def _extra(self, path: Steps, to: Complaints, op: str, params: Collection[str]) -> None:
        where, known = _place(path[:-1])
        key = str(path[-1])
        if key in known:  # of two that stand for one another
            said = f"{_subject(path[:-1])} has `body` and `sequential`"
            to.add("E214", said, path, "keep one of them", on_key=True)
        elif key in params:
            said = f"`{key}` is a parameter of `{op}` and stands beside it"
            to.add("E213", said, path, self._inside(path, op), on_key=True)
        elif len(path) == 3 and path[0] == "input" and is_block(str(path[1])):
            said = f"`{cut(str(path[1]))}` is no name of an input"
            help = "a block stands below `blocks`, which is missing above it"
            to.add("E205", said, path[:2], help, on_key=True, cause=("blocks",))
        else:
            where_known, known = known, known or [*MODIFIERS, *COMPANIONS, *params]
            shown = len(path) == 1 and not to.full
            help = self._remedy(key) if shown else ""
            cause: tuple[str, ...] = ("name", "", key) if len(path) == 1 else ()
            if path[:-1] == ("weights",) and is_total(key, self.data["weights"][key]):
                help, cause = "totals stand below `expect:`", ("expect",)
            elif path[:-1] == ("weights",) and key in self._variants():
                help, cause = "write the source above it: `torchvision:`", ("sources",)
            elif not where_known:
                given = at(self.data, path[:-1])
                help = _beside(key, given, params) or to.free(key, known, given)
            to.unknown(key, path, known, where, *cause, help=help)

    def _variants(self) -> Collection[str]:
        variants = self.data.get("variants")
        return {str(self.data.get("name")), *(variants if isinstance(variants, dict) else ())}

    def _expected(self) -> Collection[str]:
        """What `expect` speaks of."""
        expected = self.data.get("expect")
        return expected if isinstance(expected, dict) else ()

    def _inside(self, path: Steps, op: str) -> str:
        """The operation with what stands beside it, as it is to be written."""
        item = at(self.data, path[:-1])
        given, layer = item[op], REGISTRY.get(op)
        if layer is not None and layer.takes == ("*",) and isinstance(given, (str, list)):
            shown = written({str(path[-1]): item[path[-1]]})
            return f"write `from: {cut(written(given))}` beside `{op}: {cut(shown)}`"
        if given is not None and not isinstance(given, dict):
            main = None if layer is None else layer.main()
            given = layer.meant({main: given}) if layer is not None and main else None
        shown = written({**(given or {}), str(path[-1]): item[path[-1]]})
        return f"write `{op}: {cut(shown)}`"

    def _remedy(self, key: str) -> str:
        """What a key of the document is meant to be, where more than a slip makes it another."""
        guess = self._meant((), key)
        if guess and not key.isidentifier():
            return f"write `{guess}: …`"
        if is_block(key) and guess != key.lower():
            return "a block stands below `blocks`, indented"
        return f"did you mean `{guess}`?" if guess else ""

    def _operation(self, path: Steps, heads: Mapping[str, Collection[str]]) -> str:
        """Of the item at a place."""
        keys = [key for key in at(self.data, path) if key not in BESIDE]
        known = [key for key in keys if key in REGISTRY or key in STRUCTURE or key in heads]
        return next(iter(known or filter(is_block, keys)), "")

    def _missing(self, path: Steps, key: str, to: Complaints) -> None:
        """A key that is not there, and not misspelt: that is a fault already."""
        beside = self.extra.get(path, [])[:SHOWN]
        other = {key, "sequential"} if key == "body" else {key}
        if (path and beside) or any(self._meant(path, one) in other for one in beside):
            return
        if not path and self._moved(key):
            return
        code, said, help = _MISSING[key]
        said = f"{_subject(path)} {said}" if key == "body" else said
        path = (*path, "branches") if key == "merge" else path
        if key == "merge" and "merge" in at(self.data, path):
            path = (*path, "merge")
            said, help = (
                "`merge` is a path of `branches` here",
                "start it in the column of `branches`",
            )
        to.add(code, said, path, help, on_key=bool(path) and code != "E228")


# ------------------------------------------------------------------ sentences


def refused(path: Steps, error: ErrorDetails, to: Complaints) -> None:
    """The complaint about one value."""
    type_ = error["type"]
    sentence = _word if type_ == "word" else _said if _CODE.fullmatch(type_) else _kind
    sentence(path, error, to)


def _said(path: Steps, error: ErrorDetails, to: Complaints) -> None:
    """A fault that has its sentence."""
    found = error.get("ctx", {})
    said = f"{_subject(path)} {found['said']}" if "what" in found else found["said"]
    help = found["help"]
    if "near" in found:
        help = to.did_you_mean(*found["near"])
    span, on_key = found.get("span"), found.get("on_key", False)
    cause = (said,) if said.endswith("is a keyword of Python") else ()  # wherever it is read
    to.add(error["type"], said, path, help, on_key=on_key, span=span, cause=cause)


def _kind(path: Steps, error: ErrorDetails, to: Complaints) -> None:
    """A value of another kind than its place takes."""
    found = error.get("ctx", {})
    what = found.get("what") or _subject(path)
    value = at(to.data, path)
    shown = "empty" if found.get("empty") or value == "" else kind(value)
    wanted = found.get("said") or _WANTED.get(error["type"], "something else").format(**found)
    said = f"{what} is {shown}; it takes {wanted}"
    help = found.get("help", "")
    if what.startswith("the block"):
        help = f"write `{cut(str(path[-1]))}: {{body: […]}}`"
    on_key = shown == "empty" and isinstance(path[-1:] and path[-1], str)
    to.add("E204", said, path, help, on_key=on_key)


def _word(path: Steps, error: ErrorDetails, to: Complaints) -> None:
    """A value that is none of some words."""
    found = error["ctx"]
    words = found["words"]
    said = f"{_subject(path)} is {found['said']}; it takes {listed(words, 'or')}"
    guess = found["alike"] or to.near(str(at(to.data, path)), words)
    to.add("E204", said, path, f"did you mean `{guess}`?" if guess else "")


def _end(data: Any) -> Steps:
    """The place of the last that is written in a value."""
    end: Steps = ()
    while data and isinstance(data, (dict, list)):
        step = [*data][-1] if isinstance(data, dict) else len(data) - 1
        end, data = (*end, step), data[step]
    return end


def _beside(key: str, given: Mapping[str, Any], params: Collection[str]) -> str:
    """The remedy for a key beside an operation that other tools call so; or ""."""
    meant = _BESIDE.get(key, "")
    name = given[key]
    if key == "if" and isinstance(name, str) and not name.startswith("$"):
        meant = "id"  # a slip of the hand
    if not meant or meant in given or near(key, params):
        return ""
    return f"did you mean `{meant}`?"


def _before(path: Steps) -> Steps | None:
    """The place of the item before the one at a place."""
    *above, last = path or ("",)
    return (*above, last - 1) if isinstance(last, int) else None


def _subject(path: Steps) -> str:
    """What stands at a place, as a sentence begins."""
    match path:
        case ():
            return "the document"
        case ("variants" | "blocks" as section, name):
            return f"the {section[:-1]} `{cut(str(name))}`"
        case ("use", _):
            return "a used file"
        case ("weights", "rename", _) | ("weights", "rename", _, int()):
            return "a name"
        case ("expect", *_, str(key)):
            return f"the total `{key}`" if key in TOTALS else "totals"
        case ("weights", str(source), _) if source not in ("rename", "ignore"):
            return f"`{source}`"
    return _inside(path)


def _inside(path: Steps) -> str:
    match path:
        case (*_, "outputs", str(name)):
            return f"the output `{cut(name)}`"
        case (*_, "from", str(slot)):
            return f"the input `{cut(slot)}`"
        case (*_, "branches", _):
            return "a path"
        case (*_, "inputs", int()):
            return "an input"
        case (*_, str(key), int()):
            return f"an entry of `{key}`"
    return f"`{cut(str(path[-1]))}`"


def _place(path: Steps) -> tuple[str, Collection[str]]:
    """Where a mapping stands, in words, and the keys it knows; of an item none: they depend."""
    match path:
        case ():
            return "in a document", keys_of(Spec)
        case ("blocks", _):
            return "in a block", keys_of(Block)
        case ("input",) | ("input", _):
            return "in an input", keys_of(Input)
        case ("use", _):
            return "in `use`", keys_of(Use)
        case ("weights",):
            return "in `weights`", keys_of(Weights)
        case ("weights", "file", *_):
            return "in `file`", keys_of(Published)
        case ("weights", "rename", _):
            return "in an entry of `rename`", keys_of(Entry)
    return "beside an operation", ()


@cache
def keys_of(form: type[Form]) -> list[str]:
    """The keys of a mapping that an author may write."""
    found: list[str] = []
    for name, one in form.model_fields.items():
        if isinstance(one.validation_alias, AliasChoices):
            found += [str(choice) for choice in one.validation_alias.choices]
        elif not isinstance(one.validation_alias, AliasPath):
            found.append(one.alias or name)
    return [key for key in found if not key.startswith("\0")]


# ------------------------------------------------------------------ places


def path_of(loc: Steps, data: Any) -> Steps:
    """The steps of a location that lead through the text: Pydantic's own words are none."""
    path: list[str | int] = []
    for step in loc:
        inside = (isinstance(data, dict) and step in data) or (
            isinstance(data, list) and isinstance(step, int) and step < len(data)
        )
        if inside:
            path.append(step)
            data = data[step]
    return tuple(path)


def at(data: Any, path: Steps) -> Any:
    """What stands at a place."""
    return reduce(getitem, path, data)
