"""Family → colours: told apart by the colour-blind and in grey, text legible on each of them."""

from __future__ import annotations

from typing import NamedTuple


class Colours(NamedTuple):
    """`fill` of a card or a volume's front, `side` of what is turned away, `edge` of outlines."""

    fill: str
    side: str
    edge: str


INK = "#1a1a1a"
"""Text."""
MUTED = "#55606c"
"""Text of less weight."""
LINE = "#445566"
"""Connections."""
SKIP = "#2b3f8f"
"""Connections that pass others by."""
ACCENT = "#9c2f1a"
"""How often something is repeated."""
LANE = "#efefef"
"""What lies behind cards."""

# Found by a search from the hues that are customary (cream for convolutions, red for pools) for the
# largest CIEDE2000 distance as seen with each kind of dichromacy, and for steps of lightness.
FAMILIES = {
    "input": Colours("#e3e3e0", "#c5c5bf", "#75756c"),
    "conv": Colours("#fdeab0", "#f4cd74", "#a67f1a"),
    "pool": Colours("#e2674a", "#c94d30", "#8b3c29"),
    "linear": Colours("#b598cb", "#9b7ab4", "#6e5085"),
    "upsampling": Colours("#7c95fe", "#5270f0", "#1e3ec5"),
    "merge": Colours("#abd1ae", "#8ab98e", "#598b5d"),
    "attention": Colours("#eda32c", "#cd8b22", "#8a611f"),
    "recurrent": Colours("#e4a9c4", "#cf82a5", "#a64873"),
    "detection": Colours("#54a196", "#4c847c", "#385b56"),
}
STATES = {
    "frozen": Colours("#bcd4f0", "#9abbe2", "#54769f"),
    "training": Colours("#f0a830", "#d08c1c", "#8a5c0e"),
    "new": Colours("#cf6ba0", "#a8497f", "#702a50"),
    "partly": Colours("#f3dfb4", "#dcc084", "#8f7a48"),
}
"""Of what a phase of a training does with weights, in place of the families."""
_OTHERS = Colours("#f4f4f2", "#d4d4ce", "#818172")  # norm, activation, noise, shape, position, …


def mixed(colour: str, other: str, share: float) -> str:
    """A colour `#rrggbb`, and so much of another."""
    pairs = ((int(colour[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pairs)


def of(family: str) -> Colours:
    """The colours of `Layer.family`, of "input", "upsampling" and STATES; one for all others."""
    known = "input" if family in ("output", "parameter") else family
    return FAMILIES.get(known) or STATES.get(known, _OTHERS)
