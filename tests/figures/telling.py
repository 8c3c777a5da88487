"""Program → complaints: what its figures leave out, or say otherwise than it is.

A figure's cards and their tooltips name every layer and parameter of the network once; what stands
on a card is legible and on that card (`checking.py`); activations, shared weights and what is there
in training only are said where a card is of one op.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from checking import faults

from archspec.figures import blocks, field, graph, levels, module, tower, trunk
from archspec.figures.outline import Outline
from archspec.figures.part import Part
from archspec.figures.scene import Group, Scene, Text, flat
from archspec.network import Program

SCENES: dict[str, Callable[[Program], Scene]] = {
    "blocks": blocks.draw, "graph": graph.draw, "tower": tower.draw, "levels": levels.draw,
    "module": module.draw, "field": field.draw,
}  # fmt: skip


def said(scene: Scene) -> list[str]:
    return [mark.text for mark in scene.marks() if isinstance(mark, Text)]


def titles(scene: Scene) -> dict[str, str]:
    groups = (mark for mark in scene.marks() if isinstance(mark, Group))
    return {group.key: group.title for group in groups if group.role in ("card", "glyph")}


def counted(scene: Scene, program: Program) -> tuple[int, int]:
    """As many layers, and parameters, as the tooltips of all cards name."""
    inputs = {node.path for node in program.graph.steps if node.layer is None}
    layers = params = 0
    for key, title in titles(scene).items():
        if "→" in key or "←" in key:
            continue
        params += sum(int(n.replace(",", "")) for n in re.findall(r"([\d,]+) parameters", title))
        for one in title.split("; ")[key in inputs :]:  # a pool may stand on the input itself
            many = re.search(r"(\d+) layers:", one)
            layers += int(many[1]) if many else 1
    return layers, params


def complaints(program: Program, view: str) -> list[str]:
    """What is wrong with a view of a network. Raises RenderError where it does not suit it."""
    shown: list[Outline] = []
    if view == "blocks":
        scene = blocks.draw(program, painted=lambda outline: shown.append(outline) or outline)
    else:
        scene = SCENES[view](program)
    if view == "levels":
        shown = [lanes.shown for lanes in [levels.fitting(program)] if lanes is not None]
    elif view == "module":
        shown = [module.opened(program)]
    words = said(scene)
    found = faults(scene)
    found += [f"a card reads `{word}`" for word in words if re.search(r"\d+ ops\b", word)]
    found += [f"`{word}` ends in nothing" for word in words if re.search(r"(,\s*|^\s*)$", word)]
    on_cards = (g for g in scene.marks() if isinstance(g, Group) and g.role in ("card", "glyph"))
    for group in on_cards:  # beside a volume and on a frame a name may be, its tooltip has it whole
        found += [f"{word} is cut" for word in _words(group).split(", ") if word.endswith("…")]
    found += _sums(program, view, scene)
    if shown:
        on = {group.key: _words(group) for group in scene.marks() if isinstance(group, Group)}
        found += _unsaid(program, shown[-1].parts, lambda part: on[part.key])
    elif view == "tower":
        solids = trunk.trunk(program, 72).solids
        parts = [part for solid in solids for part in solid.parts]
        found += _unsaid(program, parts, lambda _: ", ".join(words))
    return found


def _words(group: Group) -> str:
    return ", ".join(mark.text for mark in flat(group.items) if isinstance(mark, Text))


def _sums(program: Program, view: str, scene: Scene) -> Iterator[str]:
    """Layers and parameters that the cards do not name, or name twice."""
    if view in ("module", "field"):  # they show a part of it
        return
    nodes = [node for node in program.graph.steps if node.layer is not None]
    if view == "tower":
        aside = {i for part in trunk.trunk(program, 72).aside for i in part.nodes}
        nodes = [node for node in nodes if node.index not in aside]  # its foot names them
    params = sum(program.analysis.rows[node.index].params for node in nodes)
    layers, owned = counted(scene, program)
    if layers != len(nodes):
        yield f"its cards name {layers} layers, the network has {len(nodes)}"
    if owned != params:
        yield f"its cards name {owned:,} parameters, the network has {params:,}"


def _unsaid(
    program: Program, parts: list[Part] | tuple[Part, ...], words: Callable[[Part], str]
) -> Iterator[str]:
    """What tells a card of one op from others and does not stand on it."""
    for part in parts:
        nodes = [program.graph.steps[index] for index in part.nodes]
        if part.kind in ("input", "output") or not nodes:
            continue
        own = words(part)
        again = [n for n in nodes if n.weights() and (n.shared, n.tied) != (None, None)]
        if again and not re.search("weights? of|shared weights", own):
            yield f"`{part.key}` does not say whose weights it has: {own}"
        if part.composite:
            continue
        for node in nodes:
            layer = node.layer
            if layer is None or layer.family != "activation" or layer.still_linear:
                continue
            if layer.title() not in own and layer.label(0) not in own:
                yield f"`{part.key}` does not say {layer.title()}: {own}"
        if all(node.training for node in nodes) and "in training only" not in own:
            yield f"`{part.key}` is there in training only, and does not say so: {own}"
