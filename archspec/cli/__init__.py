"""Arguments in, text out; no logic."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """The console script. Exit status 0, 1 for faults in the spec, 2 for wrong usage."""
    try:
        import atexit  # all that takes time is imported here, where Ctrl-C is caught
        import gc
        import signal

        from archspec.cli.running import run

        atexit.register(gc.freeze)  # what is there at the end is not looked through once more
        code = run()
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # all is done: let it end
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("interrupted\n")
        code = INTERRUPTED
    sys.exit(code)
