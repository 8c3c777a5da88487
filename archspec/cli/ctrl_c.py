"""Ctrl-C → KeyboardInterrupt, at a moment when it can arrive, and until it has.

A library that is interrupted while it is imported makes another error of it, or ends the process
(torch's C++ aborts): there it is put off until the import is done, and a second Ctrl-C exits at
once. What a weak reference or `__del__` calls drops it: it is raised again while the work goes on.
"""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False  # as in archspec/__init__.py
if TYPE_CHECKING:
    import signal
    from types import FrameType
    from typing import Any
else:
    import _signal as signal  # what it wraps: `signal` runs code when it is imported

INTERRUPTED = 130  # the exit status

_AGAIN = 1.0  # seconds: longer than files take that are tidied away on the way out
_SOON = 0.02  # seconds
_CLOCK = getattr(signal, "SIGALRM", None)  # None: on Windows nothing is put off or raised again

_sent = _put_off = False
_home: FrameType | None = None
_before: dict[int, Any] = {}  # who minded a signal


class Heeded:
    """What runs in it is ended by Ctrl-C, and by nothing else once that has been pressed.

    Raises KeyboardInterrupt at its end, whatever is raised or returned there.
    """

    def __enter__(self) -> None:
        global _home
        self._hook = sys.unraisablehook
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nobody else minds it
            try:
                _take(signal.SIGINT)
                _home = sys._getframe(1)
            except ValueError:
                pass  # not the main thread: signals reach no other

    def __exit__(self, *_: object) -> None:
        global _sent, _put_off, _home
        sent, _sent, _put_off, _home = _sent, False, False, None
        if _CLOCK in _before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        while _before:
            signal.signal(*_before.popitem())
        sys.unraisablehook = self._hook
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # all is done: let it end
        if sent:
            raise KeyboardInterrupt


def heed() -> None:
    """Raises KeyboardInterrupt where Ctrl-C has been pressed: what else is wrong comes of that."""
    if _sent:
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _sent, _put_off
    if _sent and number == signal.SIGINT and _CLOCK is not None:
        if _put_off:
            try:
                os.write(2, b"interrupted\n")
            finally:
                os._exit(INTERRUPTED)
        return  # the first is under way
    if _CLOCK is not None and not _sent:
        _take(_CLOCK)
    _sent, _put_off = True, _CLOCK is not None and _importing(frame)
    sys.unraisablehook = _nothing  # an interrupt that is dropped somewhere is no news
    if _CLOCK is not None:
        signal.setitimer(signal.ITIMER_REAL, _SOON if _put_off else _AGAIN)
    if not _put_off:
        raise KeyboardInterrupt


def _take(number: int) -> None:
    _before[number] = signal.signal(number, _interrupt)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None and frame is not _home:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _nothing(_: object) -> None:
    pass
