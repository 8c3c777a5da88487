"""Arguments in, text out; no logic."""

from __future__ import annotations

import contextlib
import os
import sys

from archspec.cli.options import WRONG_SPEC
from archspec.cli.show import complain, drop_output, faults
from archspec.text.faults import CodedError, SpecError

INTERNAL = 70  # exit status of a fault of archspec's own
INTERRUPTED = 130
# The extra that brings a package; all others come with training.
_EXTRAS = {"optuna": "search", "onnx": "export", "onnxscript": "export", "sklearn": "examples"}


def main() -> None:
    """The console script. Exit status 0, 1 for faults in the spec, 2 for wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(_flushed(_run()))


def _run() -> int | str | None:
    import click

    from archspec.cli.app import app

    try:
        return int(app.main(prog_name="archspec", standalone_mode=False) or 0)
    except SystemExit as exit:
        return exit.code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SpecError as error:
        faults(error.faults, error.sources)
        return WRONG_SPEC
    except CodedError as error:
        complain(str(error))
        return WRONG_SPEC
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("ARCHSPEC_DEBUG"):
            raise
        lacking = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
        if lacking and not lacking.startswith("archspec"):
            package = lacking.partition(".")[0]
            complain(f"E602 this command needs the package {package}")
            complain(f"  help: pip install 'archspec[{_EXTRAS.get(package, 'train')}]'")
            return WRONG_SPEC
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        complain(f"E900 archspec has met a fault of its own: {text}")
        complain("  help: set ARCHSPEC_DEBUG=1 to see where, and report it with the spec")
        return INTERNAL


def _flushed(code: int | str | None) -> int | str | None:
    """Write out what is buffered now, while a reader that has gone away can still be noticed."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        drop_output()
        return 0
    return code
