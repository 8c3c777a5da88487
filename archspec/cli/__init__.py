"""Arguments in, text out; no logic."""

from __future__ import annotations

import sys

from archspec.cli.ctrl_c import INTERRUPTED, Heeded


def main() -> None:
    """The console script. Exit status 0, 1 for faults in the spec, 2 for wrong usage."""
    try:  # all that takes time is imported here, where Ctrl-C is caught
        with Heeded():
            import atexit
            import gc

            from archspec.cli.running import run

            atexit.register(gc.freeze)  # what is there at the end is not looked through once more
            code = run()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("interrupted\n")
        code = INTERRUPTED
    sys.exit(code)
