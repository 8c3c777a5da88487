"""Python's collector, out of the way: what the stages make lives on, and looking through it again
and again would cost more the more there is.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Nothing is looked through inside; what was made there counts as old when it ends."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()  # all that was made is in the oldest generation now
        gc.enable()
