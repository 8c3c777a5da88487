"""Names as wrappers of a model make them → the model's own.

module._orig_mod.conv.weight                      conv.weight    DistributedDataParallel, compile
_fsdp_wrapped_module.0._checkpoint_wrapped_module.conv.weight    0.conv.weight
model.conv.weight                                 conv.weight    by prefix={"model.": ""} alone

What is before a name may mean something, so only the words of torch's wrappers are taken off
unasked; of any other prefix a hint says how many names it would make match.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from archspec.text.options import said
from archspec.weights.errors import WeightsError, some

# torch.compile, FullyShardedDataParallel (of two ages), checkpoint_wrapper: anywhere in a name
_INSIDE = ("_orig_mod", "_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module")
_AROUND = "module."  # DataParallel and its like, AveragedModel, DeepSpeed: before all names
_COUNT = "n_averaged"  # of AveragedModel, beside its module

Names = dict[str, str]  # a name as it is read: the name in the source


def stripped(names: Sequence[str], kept: Collection[str] = ()) -> tuple[Names, list[str]]:
    """Names without what torch's wrappers put into them, and what that was.

    Nothing is taken off where names are in `kept` as they are, or would fall together.
    """
    found, taken = {name: name for name in names}, list[str]()
    bare = {_without(name): name for name in names}
    if bare != found and len(bare) == len(found) and not _known(found, kept):
        parts = {part for name in names for part in name.split(".")}
        taken += [f"`{part}.` taken off all names" for part in _INSIDE if part in parts]
        found = bare
    while len(found) > 1 or found.keys() - {_COUNT}:
        own = [name for name in found if name != _COUNT]
        if _known(found, kept) or not all(name.startswith(_AROUND) for name in own):
            break
        if len(own) < len(found):
            taken.append(f"`{_COUNT}` left aside: how many models were averaged")
        taken.append(f"`{_AROUND}` taken off all names")
        found = {name.removeprefix(_AROUND): found[name] for name in own}
    return found, taken


def _without(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _INSIDE)


def _known(names: Collection[str], kept: Collection[str]) -> bool:
    return any(name in kept for name in names)


def exchanged(names: Names, prefix: Mapping[str, str], source: str) -> tuple[Names, list[str]]:
    """Names with other beginnings, as the caller says, and what was done. Raises WeightsError."""
    notes = []
    for old, new in prefix.items():
        here = [name for name in names if name.startswith(old)]
        if not here and old != _AROUND and old.removesuffix(".") not in _INSIDE:
            first = dict.fromkeys(name.partition(".")[0] + "." for name in names)
            message = f"no name in `{source}` begins with `{old}`"
            raise WeightsError("E617", message, f"names begin with {some([*first])}")
        pairs = [(_begun(name, old, new), there) for name, there in names.items()]
        double = [name for name, n in Counter(name for name, _ in pairs).items() if n > 1]
        if double:
            message = f"{said('prefix', {old: new})} gives two tensors of `{source}` the name"
            raise WeightsError("E613", f"{message} `{double[0]}`", "choose another prefix")
        names = dict(pairs)
        done = f"`{old}` taken off" if not new else f"`{new}` put in place of `{old}` in"
        notes.append(f"{done if old else f'`{new}` put before'} {len(here):,} names")
    return names, notes


def _begun(name: str, old: str, new: str) -> str:
    return new + name.removeprefix(old) if name.startswith(old) else name


def normal(prefix: Mapping[str, str] | str) -> dict[str, str]:
    """`OLD=NEW`, or a mapping of such, as whole parts of names: each ends in a dot, or is empty.

    Raises WeightsError.
    """
    help = f"for example {said('prefix', {'model.': ''})}"
    if isinstance(prefix, str):
        old, equals, new = prefix.partition("=")
        if not equals:
            raise WeightsError("E617", f"`{prefix}` is not OLD=NEW", help)
        prefix = {old: new}
    if not isinstance(prefix, Mapping) or not all(
        isinstance(t, str) for p in prefix.items() for t in p
    ):
        raise WeightsError(
            "E617", "`prefix` is no mapping from old to new beginnings of names", help
        )
    return {_ended(old): _ended(new) for old, new in prefix.items()}


def _ended(text: str) -> str:
    return text if not text or text.endswith(".") else f"{text}."


def hints(needed: Mapping[str, Collection[str]], header: Collection[str], loaded: int) -> list[str]:
    """What to say of a prefix that, taken off or put on, makes most names match.

    `needed` gives for each tensor of the model the names that it may have in the source.
    """
    below: dict[str, list[str]] = {}
    for name in header:
        for tail in _tails(name):
            below.setdefault(tail, []).append(name)
    counts: Counter[tuple[str, str]] = Counter()
    for names in needed.values():
        ways = {(there[: -len(n)], "") for n in names for there in below.get(n, ())}
        ways |= {("", n[: -len(tail)]) for n in names for tail in _tails(n) if tail in header}
        counts.update(way for way in ways if any(way))
    most = max(counts.values(), default=0)
    if most <= loaded or 2 * most < len(needed):
        return []
    best = [way for way, n in counts.items() if n == most][:2]
    return [_hint(*way, f"makes {most:,} of {len(needed):,} names match") for way in best]


def _hint(old: str, new: str, makes: str) -> str:
    done = f"`{old}` taken off" if old else f"`{new}` put before"
    return f"{done} {makes}: {said('prefix', {old: new})}"


def _tails(name: str) -> Iterator[str]:
    """`a.b.weight`, `b.weight`, `weight`."""
    parts = name.split(".")
    return (".".join(parts[k:]) for k in range(len(parts)))
