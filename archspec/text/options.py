"""An option that a sentence recommends → as its reader would write it.

said("cast")                      cast=True                   in Python
                                  `--cast`                    typed, where the command has it
said("prefix", {"model.": ""})    prefix={"model.": ""}       `--prefix model.=`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Known = Callable[[], Collection[str]]

_known: ContextVar[Known | None] = ContextVar("known", default=None)


@contextmanager
def typed(known: Known) -> Iterator[None]:
    """Sentences are read at a command line; `known` says which options the command has."""
    token = _known.set(known)
    try:
        yield
    finally:
        _known.reset(token)


def said(name: str, value: Any = True) -> str:
    """The option with its value; `...` stands for values that the reader chooses, paths."""
    known = _known.get()
    if known is None:
        if value is ...:
            return f"{name}=[…]"
        return f"{name}={value if value is True else json.dumps(value, ensure_ascii=False)}"
    option = f"--{name.replace('_', '-')}{_argument(value)}"
    return f"`{option}`" if name in known() else f"`{option}` of `archspec weights convert`"


def _argument(value: Any) -> str:
    if value is True:
        return ""
    if isinstance(value, Mapping):
        return "".join(f" {old}={new}" for old, new in value.items())
    return " PATH" if value is ... else f" {value}"
