"""Number → text with a unit."""

from __future__ import annotations

from collections.abc import Sequence


def count(n: int) -> str:
    """Four figures and a unit: `15.47 G`, `5 `; to be followed by what is counted."""
    for unit, factor in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if n >= factor:
            return f"{n / factor:.4g} {unit}"
    return f"{n} "


def size(n: int) -> str:
    """Bytes, in powers of 1024."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n >= factor:
            return f"{n / factor:.3g} {unit}" if n < 1000 * factor else f"{n // factor} {unit}"
    return f"{n} B"


def once(values: Sequence[object], between: str = "×") -> str:
    """One along each axis, `3×5`, `(60/31)×2`; `3` where they are the same; `?` for None."""
    texts = ["?" if value is None else str(value) for value in values]
    texts = [f"({text})" if "/" in text else text for text in texts]
    return texts[0] if len(set(texts)) == 1 else between.join(texts)


def each(value: object) -> str:
    """One number, or one along each axis: `2`, `1.5`, `2×1`."""
    if isinstance(value, (tuple, list)):
        return once(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def sides(size: object, axes: int) -> str:
    """A window over so many axes: `3×3`, `1×7`, `5`."""
    along = size if isinstance(size, (tuple, list)) else (size,) * max(axes, 1)
    return "×".join("·" if side is None else str(side) for side in along)
