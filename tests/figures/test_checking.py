"""The checker of figures finds what it is there for."""

from __future__ import annotations

import pytest
from checking import faults

from archspec.figures.scene import Box, Group, Mark, Path, Rect, Scene, Text


def card(key: str, left: float, top: float, *inside: Mark) -> Group:
    return Group((Rect(Box(left, top, left + 60, top + 30), "#ffffff"), *inside), key, "", "card")


def line(edge: tuple[str, str], *points: tuple[float, float]) -> Path:
    steps = [("M", *points[0]), *(("L", *point) for point in points[1:])]
    return Path(tuple(steps), edge=edge)  # type: ignore[arg-type]


def scene(*items: Mark, width: float = 400, height: float = 200) -> Scene:
    return Scene(width, height, items)


A, B, C = card("a", 10, 10), card("b", 110, 10), card("c", 210, 10)


def test_nothing_wrong() -> None:
    inside = card("a", 10, 10, Text(40, 30, "conv", 10, "middle"))
    straight = line(("a", "b"), (70, 25), (110, 25))
    around = line(("a", "c"), (40, 40), (40, 60), (240, 60), (240, 40))
    assert faults(scene(inside, B, C, straight, around, Text(10, 100, "below", 9))) == []


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([Text(10, 50, "small", 8.9)], "8.9 px"),
        ([Text(390, 50, "over the edge", 10)], "leaves the sheet"),
        ([Text(10, 50, "one", 10), Text(14, 54, "two", 10)], "`one` overlaps `two`"),
        ([Text(10, 100, "turned", 10, turn=-45), Text(20, 95, "in the way", 10)], "overlaps"),
        ([A, card("d", 60, 30)], "card a overlaps card d"),
        ([A, Text(60, 30, "half out", 10)], "`half out` overlaps card a"),
        ([card("a", 10, 10, Text(40, 30, "wider than it", 12, "middle"))], "leaves its card"),
        ([A, B, C, line(("a", "c"), (70, 25), (210, 25))], "crosses card b"),
        ([A, B, line(("a", "b"), (70, 25), (90, 25))], "does not touch b"),
        ([A, line(("a", "z"), (70, 25), (110, 25))], "ends at no card"),
        ([A, B, line(("a", "b"), (70, 25), (110, 25)), Text(75, 28, "on", 10)], "crosses `on`"),
    ],
)  # fmt: skip
def test_told(items: list[Mark], said: str) -> None:
    assert any(said in fault for fault in faults(scene(*items)))


def test_turned_words_need_less_room() -> None:
    """Upright boxes of the two overlap; the words do not."""
    turned = Text(10, 100, "turned by a half", 10, turn=-45)
    assert faults(scene(turned, Text(60, 100, "beside", 10))) == []


def test_a_curve_is_followed() -> None:
    over = Path((("M", 70, 25), ("C", 90, -60, 190, -60, 210, 25)), edge=("a", "c"))
    through = Path((("M", 70, 25), ("C", 90, 24, 190, 24, 210, 25)), edge=("a", "c"))
    assert not any("crosses" in fault for fault in faults(scene(A, B, C, over)))
    assert any("crosses card b" in fault for fault in faults(scene(A, B, C, through)))


def test_too_large() -> None:
    assert faults(scene(width=1601)) == ["the sheet is 1601 x 200"]
