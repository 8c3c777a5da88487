"""Sources, totals and figures of all shipped specs: the same in any process, on any Python.

The seed is the hash seed. Each is made with and without libyaml, by this Python and by each that
ARCHSPEC_PYTHONS names (paths with `:` between them; each needs what archspec needs).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

from test_stability import digests

from archspec import shelf


@cache
def ours() -> dict[str, str]:
    return digests(sys.executable, ",".join(shelf.names()), 0, pure=False)[1]


def trial(seed: int, folder: Path) -> Iterator[str]:
    others = [one for one in os.environ.get("ARCHSPEC_PYTHONS", "").split(":") if one]
    for python, pure in product((sys.executable, *others), (False, True)):
        libyaml, found = digests(python, ",".join(shelf.names()), seed, pure=pure)
        by = f"{python} {'with' if libyaml else 'without'} libyaml"
        for name, digest in ours().items():
            yield "equal" if found[name] == digest else f"OTHER: {name} by {by}"
