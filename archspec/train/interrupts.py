"""SIGTERM, Ctrl-C → a wish to end, which the loop grants between two updates."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """Notes a signal while it is entered; a second one ends at once. What is ignored stays so.

    with Interrupts() as interrupts:
        ...
        if interrupts.name:                 "SIGTERM"
    """

    def __init__(self) -> None:
        self.name = ""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # signals reach no other
            for one in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(one) is not signal.SIG_IGN:
                    self._before[one] = signal.signal(one, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.name:
            before = self._before.get(signal.SIGINT)
            if callable(before):
                before(signal.SIGINT, frame)
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name


def leave_to_parent(_: int) -> None:
    """In a process that reads for training: a signal to all is minded there, and a second ends it.

    A scheduler sends SIGTERM to every process; a reader that died of it would be an error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: signal.signal(number, signal.SIG_DFL))
