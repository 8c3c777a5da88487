"""ValidationError → BadArgument: what is wrong with an op's arguments, one sentence each.

conv: {out: 0, kernal: 3}
    `conv` has no parameter `kernal`
    `out` of `conv` is 0; it takes a whole number of at least 1
    `conv` needs `kernel`, a whole number of at least 1, or a list of one per axis
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from archspec.layers.base import BadArgument, Layer
from archspec.layers.fields import LARGEST, LARGEST_WHOLE, LONGEST, says, words
from archspec.text.words import cut, free, listed, meant, written

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

# How torch and Keras spell what has a shorter name here. Only names that no op uses otherwise.
SPELT = {
    "kernel_size": "kernel", "pool_size": "kernel", "filter_size": "kernel",
    "out_channels": "out", "out_features": "out", "filters": "out", "units": "out",
    "strides": "stride", "dilation_rate": "dilation", "use_bias": "bias", "epsilon": "eps",
    "pad": "padding", "paddings": "padding", "hidden_size": "hidden", "num_layers": "layers",
    "num_heads": "heads", "nhead": "heads", "num_embeddings": "num", "embedding_dim": "dim",
    "input_dim": "num", "output_dim": "dim", "ceil_mode": "ceil", "upscale_factor": "factor",
    "downscale_factor": "factor", "scale_factor": "scale", "output_size": "size",
    "num_groups": "groups", "elementwise_affine": "affine", "dim": "axis", "dims": "order",
    "rate": "p", "prob": "p", "drop_prob": "p", "drop_rate": "p", "stddev": "std",
    "start_dim": "start", "unflattened_size": "shape", "alpha": "negative_slope",
    "size": "kernel", "outputs": "out", "num_filters": "out", "ksize": "kernel",
    "group": "groups", "channels": "out", "features": "out", "depth_multiplier": "out",
    "is_causal": "causal", "interpolation": "mode", "chunks": "parts", "sections": "sizes",
    "split_size": "sizes", "amount": "amounts", "norm_type": "p", "axes": "axis",
}  # fmt: skip

_ALONG = frozenset({"mean", "max", "min"})


def along(op: str, axis: object = 0) -> str:
    """What a merge of inputs is called along an axis of one: torch has one name for both."""
    found = f"along an axis of one input it is `reduce: {{by: {op}, axis: {axis}}}`"
    return found if op in _ALONG else ""


# What is said here in other ways than by one op, by its name elsewhere without `_`.
INSTEAD = {
    "sum": "`add: [a, b]` adds inputs, `reduce: sum` the cells of an axis",
    "norm": "`batch_norm`, `layer_norm` …, or `reduce: {by: norm}` for a length",
    "square": "write `pow: 2`", "rsqrt": "write `pow: -0.5`", "neg": "write `mul: -1`",
    "transpose": "write `permute`, with the order of all axes: `permute: [1, 0]` of two",
    "unsqueeze": "`unflatten` or `reshape` makes axes of one cell",
    "squeeze": "`flatten` or `reshape` takes axes of one cell away",
    "drop": "`dropout`, or `drop_path` for whole paths",
    "reflectionpad": "write `pad: {amounts: …, mode: reflect}`",
    "replicationpad": "write `pad: {amounts: …, mode: replicate}`",
    "spectralnorm": "it is `reparam: spectral_norm` of `conv` or `linear`",
    "weightnorm": "it is `reparam: weight_norm` of `conv` or `linear`",
    "where": "`mul` one by a mask of numbers, the other by its opposite, and `add` them",
    "maskedfill": "`attention` and `dot_attention` take masks; elsewhere `mul` by one",
    "swapaxes": "write `permute`, with the order of all axes: `permute: [1, 0]` of two",
    "tile": "`concat: [x, x]` repeats cells, `expand` an axis of one",
    "repeatinterleave": "`upsample: {scale: 2, mode: nearest}` repeats each cell",
    "group": "`body` is a group of items, or `sequential`, where they are numbered",
    "resize": "write `upsample: {size: …}`", "upsamplenearest": "write `upsample`",
    "upsamplebilinear": "write `upsample: {scale: 2, mode: bilinear}`",
    "reducemean": "write `reduce: {by: mean}`", "reducesum": "write `reduce: {by: sum}`",
    "reducemax": "write `reduce: {by: max}`", "reducemin": "write `reduce: {by: min}`",
    "focus": "write `pixel_unshuffle: 2`", "spacetodepth": "write `pixel_unshuffle: 2`",
    "depthtospace": "write `pixel_shuffle: 2`",
    "pool": "write `max_pool` or `avg_pool`", "pooling": "write `max_pool` or `avg_pool`",
    "globalpool": "`global_avg_pool`, `global_max_pool`",
    "adain": "`instance_norm`, `mul` and `add` make it",
    "gem": "`clamp`, `pow`, `global_avg_pool` and `pow` make it",
}  # fmt: skip

_ALONE = "each sample is computed alone, and no op sees the batch axis"
_FIXED = "what is computed, and how often, never follows from the values of data"
# What no op here can be, by its name elsewhere without `_`: why, and what there is.
OUTSIDE = {
    **dict.fromkeys(
        ("batchshuffle", "minibatchstd", "minibatchstddev", "minibatchdiscrimination", "allgather",
         "batchconcat", "batchsum", "batchmean", "crossbatch", "inbatch", "inbatchnegatives",
         "memorybank", "queue", "mixup", "cutmix"),
        (_ALONE, "a loss, or a `step` function of the plan, sees the whole batch"),
    ),
    **dict.fromkeys(
        ("if", "cond", "switch", "case", "while", "whileloop", "for", "loop", "scan", "earlyexit",
         "nonzero", "unique", "maskedselect", "dynamicrouting", "route", "goto"),
        (_FIXED, "`when` and `repeat` follow params; `mul` by a mask chooses cell by cell"),
    ),
}  # fmt: skip

INFERRED = frozenset({
    "in_channels", "in_features", "num_features", "num_channels", "input_size", "normalized_shape",
    "embed_dim", "in_planes", "in_chans", "kdim", "vdim", "input_shape", "batch_first",
})  # fmt: skip


def complaints(
    cls: type[Layer], given: Mapping[str, Any], error: ValidationError
) -> Iterator[BadArgument]:
    """One for each parameter at fault, those that the op does not have first."""
    details = error.errors(include_url=False)
    unknown = [str(e["loc"][0]) for e in details if e["type"] == "extra_forbidden"]
    yield from _no_parameters(cls, unknown, given)
    lacking = [str(e["loc"][0]) for e in details if e["type"] == "missing"]
    if len(lacking) > 1:
        shown = ", ".join(f"{name}: …" for name in lacking)
        message = f"`{cls.op}` needs {listed(lacking)}"
        yield BadArgument(lacking[0], message, f"write `{cls.op}: {{{shown}}}`", "E209")
    said = {"extra_forbidden", *(["missing"] if len(lacking) > 1 else ())}
    rest = [e for e in details if e["type"] not in said]
    for name, found in groupby(rest, key=lambda e: str(e["loc"][0]) if e["loc"] else ""):
        yield _complaint(cls, name, given.get(name), list(found))


def _complaint(
    cls: type[Layer], name: str, value: object, found: list[ErrorDetails]
) -> BadArgument:
    """What is wrong with one parameter; `found` are several where its type is a choice."""
    first = found[0]
    raised = first.get("ctx", {}).get("error")
    if isinstance(raised, BadArgument):  # by `Layer.check`
        return replaced(raised, raised.help)  # a new one, for the error holds that one
    field = cls.model_fields[name]
    if first["type"] == "missing":
        message = f"`{cls.op}` needs `{name}`, {says(field)}"
        return BadArgument(name, message, f"write `{cls.op}: {{{name}: …}}`", "E209")
    more = _LIMITS.get(first["type"], "") if len(found) == len(first["loc"]) == 1 else ""
    more = next((_SIZES[most] for e in found if (most := _passed(e)) in _SIZES), more)
    message = f"`{name}` of `{cls.op}` is {_shown(value)}; it takes {says(field)}"
    message += more.format(**first.get("ctx", {}))
    help = _remedy(found, words(field.annotation))
    return BadArgument(name, message, help or _sides(cls, name, value))


_WORD = re.compile(r"(?!(true|false|null)$)[A-Za-z_][\w .-]*", re.ASCII | re.IGNORECASE)


def _shown(value: object) -> str:
    """As it is written; a text that may be taken for something else says that it is one."""
    text = cut(written(value))
    plain = not isinstance(value, str) or _WORD.fullmatch(value) is not None
    return text if plain else f"the text `{text}`"


# Limits that the words of a type leave out, by pydantic's name of their breach.
_LIMITS = {
    "finite_number": ", finite",
    "too_long": ", at most {max_length} of them",
}


# Those of every number.
_SIZES = {
    LARGEST_WHOLE: ", below 2^31",
    LARGEST: ", up to 3.4e38 as float32 is",
    LONGEST: ", below 2^63 if it is whole",
}


def _passed(error: ErrorDetails) -> float | None:
    """How large a number may be that is larger, with its sign or without."""
    limits = error.get("ctx", {})
    if error["type"] not in ("less_than_equal", "greater_than_equal"):
        return None
    found: float = abs(limits["le"] if "le" in limits else limits["ge"])
    return found


def _remedy(found: list[ErrorDetails], known: tuple[str, ...]) -> str:
    for e in found:
        value = e["input"]
        if e["type"] == "int_type" and isinstance(value, float) and value.is_integer():
            return "use `//` where it is computed; of a number with a point, `int(…)`"
        if e["type"] == "literal_error" and isinstance(value, str):
            return meant(value, known)
    return ""


def _sides(cls: type[Layer], name: str, value: object) -> str:
    """What takes a number for each side, as torch.nn.functional.pad does, in another order."""
    if name != "padding" or not isinstance(value, (list, tuple)):
        return ""
    pairs = bool(value) and all(isinstance(pair, (list, tuple)) for pair in value)
    if "kernel" not in cls.model_fields or not (pairs or len(value) in (4, 6)):
        return ""
    shown = written(value) if pairs else "[[top, bottom], [left, right]]"
    if cls.op == "conv_transpose":
        return "`crop` behind it takes cells from each side"
    return f"put a `pad` before it, which has a number for each side: `pad: {shown}`"


# What Keras writes into a layer and stands by itself here.
_APART = {
    "activation": "an activation is an item of its own, behind it: `- relu`",
    "kernel_initializer": "how a weight begins stands in `init`, beside the op",
    "bias_initializer": "how a bias begins stands in `init`, beside the op",
    "end": "it goes to the last axis; `reshape` joins others",
    "end_dim": "it goes to the last axis; `reshape` joins others",
}


_READ = 1000  # unknown names of one op that are looked into: nobody reads of more


def _no_parameters(
    cls: type[Layer], unknown: list[str], given: Mapping[str, Any]
) -> Iterator[BadArgument]:
    """Of several names that are like none of the op's, one complaint: the op is wrong."""
    takes = _takes(cls, list(cls.model_fields))
    complaints = {name: no_parameter(cls, name, given) for name in unknown[:_READ]}
    strange = [name for name, bad in complaints.items() if bad.help == takes]
    if strange and 2 * len(unknown) > len(given):  # what is near to one of its own is so by chance
        guessed = {name for name, bad in complaints.items() if bad.help.startswith("did you mean")}
        strange = [name for name in complaints if name in guessed or name in strange]
        complaints |= {name: replaced(complaints[name], takes) for name in guessed}
    told = set(strange[1:])  # with the first
    for name, bad in complaints.items():
        if name in told:
            continue
        several = bool(told) and name == strange[0]
        said = f"`{cls.op}` has no parameters {listed(strange)}" if several else bad.message
        field = "" if several and len(strange) == len(given) else name
        yield BadArgument(field, said, bad.help, bad.code)


def _takes(cls: type[Layer], known: list[str]) -> str:
    others = ", ".join(f"`{name}`" for name in known)
    return f"it takes {others}" if known else f"`{cls.op}` takes no parameters"


def replaced(bad: BadArgument, help: str) -> BadArgument:
    """The same complaint with another remedy."""
    return BadArgument(bad.field, bad.message, help, bad.code)


def no_parameter(cls: type[Layer], name: str, given: Mapping[str, Any]) -> BadArgument:
    """The complaint about a parameter that an op does not have; it may mean none that is given."""
    known = list(cls.model_fields)
    ours = cls.spelt.get(name) or SPELT.get(name)
    if ours in given:
        said = f"`{name}` is spelled `{ours}` here, which is given already"
        return BadArgument(name, said, f"leave `{name}` out", "E211")
    if ours in known:
        help = f"write `{ours}`"
        return BadArgument(name, f"`{name}` is spelled `{ours}` here", help, "E211")
    message, help = f"`{cls.op}` has no parameter `{name}`", f"leave `{name}` out"
    if name in INFERRED:
        return BadArgument(name, f"{message}: it is inferred from the input", help, "E208")
    if name in _APART:
        return BadArgument(name, message, _APART[name], "E208")
    if name == "inplace":
        return BadArgument(name, f"{message}: every op is out of place here", help, "E208")
    takes = _takes(cls, known)
    if name in ("axis", "dim", "keepdim"):
        takes = along(cls.op) or takes
    return BadArgument(name, message, free(name, known, given) or takes, "E208")
