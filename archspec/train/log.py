"""Rows of metrics → files and the screen: one bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from archspec.train.errors import library

Row = dict[str, Any]
_OFTEN = 0.1  # seconds between two looks of the bar


def written(folder: Path, rows: Sequence[Row]) -> None:
    """metrics.csv and metrics.jsonl, anew: rows may have been taken back by a resume."""
    from archspec.train.state import replaced

    keys = list(dict.fromkeys(key for row in rows for key in row))
    table = io.StringIO()
    writer = csv.DictWriter(table, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replaced(folder / "metrics.csv", table.getvalue().encode())
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    replaced(folder / "metrics.jsonl", lines.encode())


def said(row: Mapping[str, Any]) -> str:
    """A row as a line."""
    parts = []
    for key, value in row.items():
        if key in ("phase", "epoch", "epochs", "step", "seconds", "lr"):
            continue
        parts.append(f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}")
    head = f"{row['phase']} " if row.get("phase") else ""
    tail = f"  lr {row['lr']:.2e}  {row['seconds']:.1f} s"
    return f"{head}{row['epoch']}/{row['epochs']}  {'  '.join(parts)}{tail}"


class Screen:
    """What is seen of a run; nothing where it is quiet."""

    def __init__(self, total: int, done: int, *, quiet: bool) -> None:
        self.quiet = quiet
        self.bar: Any = None
        self.seen = 0.0
        if not quiet and sys.stderr.isatty():
            tqdm = library("tqdm", "the progress bar")
            self.bar = tqdm.tqdm(total=total, initial=done, unit="step", dynamic_ncols=True)

    def step(self, loss: float, lr: float) -> None:
        if self.bar is None:
            return
        self.bar.update(1)
        now = time.monotonic()
        if now - self.seen > _OFTEN:
            self.bar.set_postfix_str(f"loss {loss:.4f}, lr {lr:.1e}", refresh=False)
            self.seen = now

    def say(self, text: str) -> None:
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif not self.quiet:
            with suppress(OSError):  # a run does not end because nobody can read of it
                print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
