"""What there is → text: the shipped specs, the ops of the language."""

from __future__ import annotations

from archspec import shelf, source


def shipped() -> str:
    """One line a spec, its variants below it, with the totals that it expects."""
    lines: list[str] = []
    for name in shelf.names():
        data = source.read(shelf.folder() / f"{name}.yaml").data
        expect = data.get("expect", {})
        lines.append(f"{name:<18} {_totals(expect.get(name)):<34} {data.get('title', '')}".rstrip())
        for variant in data.get("variants", {}):
            lines.append(f"  {variant:<16} {_totals(expect.get(variant))}".rstrip())
    return "\n".join(lines) + "\n"


def _totals(expected: dict[str, int] | None) -> str:
    expected = expected or {}
    params, macs = expected.get("params"), expected.get("macs")
    text = f"{params:>13,} params" if params else ""
    return text + (f" {macs / 1e9:>8.2f} GMACs" if macs else "")


def vocabulary() -> str:
    """One line an op: its name, its parameters with their defaults, the main one first."""
    from archspec.layers import REGISTRY

    lines = []
    for name in sorted(REGISTRY):
        given = REGISTRY[name].schema()
        required = given.get("required", ())
        fields = [
            field if field in required else f"{field}={_default(entry)}"
            for field, entry in given["properties"].items()
        ]
        lines.append(f"{name:<22} {', '.join(fields)}".rstrip())
    return "\n".join(lines) + "\n"


def _default(entry: dict[str, object]) -> str:
    from archspec.layers.fields import written

    value = entry.get("default")
    return "~" if value is None else written(value)
