"""Python's own limit of nested calls out of the way of blocks in one another.

The limit is one for all threads, so one at a time may move it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_FRAMES = 20_000
_LOCK = threading.RLock()


@contextmanager
def deep() -> Iterator[None]:
    """As many calls of Python as blocks in one another may need."""
    with _LOCK:
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(max(before, _FRAMES))
        try:
            yield
        finally:
            sys.setrecursionlimit(before)
