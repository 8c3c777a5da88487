"""`python -m benchmarks.trust NAME --seed N --budget SECONDS`."""

from __future__ import annotations

import sys
import time

import click

from benchmarks import trust


@click.command(
    context_settings={"max_content_width": 120}, epilog="\b\nEngines:\n" + trust.listed()
)
@click.argument("name", required=False)
@click.option("--seed", default=0, show_default=True, help="The first.")
@click.option("--budget", default=60.0, show_default=True, help="Seconds.")
def main(name: str | None, seed: int, budget: float) -> None:
    """Try to break archspec."""
    known = trust.names()
    if name is None:
        click.echo(trust.listed())
        return
    if name not in known:
        raise click.UsageError(f"`{name}` is no engine; known: {', '.join(known)}")
    begin = time.monotonic()
    tally = trust.tried(trust.trial(name), seed, budget)
    seeds = tally.pop("seeds")
    found = ", ".join(f"{count:,} {kind}" for kind, count in tally.most_common())
    click.echo(f"{name}: {seeds:,} seeds from {seed} in {time.monotonic() - begin:.0f} s: {found}")
    sys.exit(any(map(trust.faulty, tally)))


if __name__ == "__main__":
    main()
