"""A command line → what it does, and an exit status: each failure is a sentence, never a traceback.

status  0    all is well          1   faults in the spec, what the system refuses
        2    wrong usage          70  a fault of archspec's own          130  Ctrl-C
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys

import click

from archspec.cli.app import app
from archspec.cli.options import WRONG_SPEC
from archspec.cli.show import complain, faults, to_stdout
from archspec.text.faults import CodedError, SpecError

INTERNAL = 70
# The extra that brings a package; all others come with training.
_EXTRAS = {"optuna": "search", "onnx": "export", "onnxscript": "export", "sklearn": "examples"}
_WIDEST, _NARROWEST = 80, 16  # columns of a page of help


def run() -> int | str | None:
    """Runs what `sys.argv` says. Raises KeyboardInterrupt."""
    _open_streams()
    try:
        status = _run()
        _flush()
    except SystemExit as exit:
        return exit.code
    return status


def _flush() -> None:
    """Writes out what is buffered now, while what is wrong with stdout can still be said."""
    with to_stdout():
        sys.stdout.flush()


def _run() -> int | str | None:
    width = max(min(shutil.get_terminal_size().columns, _WIDEST) - 2, _NARROWEST)
    try:
        return int(app.main(prog_name="archspec", standalone_mode=False, terminal_width=width) or 0)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        complain(said.getvalue())
        return error.exit_code
    except SpecError as error:
        faults(error.faults, error.sources)
        return WRONG_SPEC
    except CodedError as error:
        complain(str(error))
        return WRONG_SPEC
    except Exception as error:
        if os.environ.get("ARCHSPEC_DEBUG"):
            raise
        return _unforeseen(error)


def _unforeseen(error: Exception) -> int:
    """What no command expects: a package is not there, the system refuses, archspec is at fault."""
    lacking = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    if lacking and not lacking.startswith("archspec"):
        package = lacking.partition(".")[0]
        complain(f"E602 this command needs the package {package}")
        complain(f"  help: pip install 'archspec[{_EXTRAS.get(package, 'train')}]'")
        return WRONG_SPEC
    if isinstance(error, OSError) and error.errno is not None:
        _flush()  # if it is stdout that fails, this says so
        place = "" if error.filename is None else f"`{error.filename}`: "
        complain(f"error: {place}{error.strerror}")
        return WRONG_SPEC
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    complain(f"E900 archspec has met a fault of its own: {text}")
    complain("  help: set ARCHSPEC_DEBUG=1 to see where, and report it with the spec")
    return INTERNAL


def _open_streams() -> None:
    """Opens what the shell has closed, so that no file takes its number.

    Nothing is read of such a stdin, nothing is said on such a stderr; writing to such a stdout
    fails, as it does for every program.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
