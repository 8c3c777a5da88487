"""Program → the classes of its emitted text, and back from a pickle of what they made.

A class of the emitted text is in no file, so another process cannot import it. What is pickled in
its place is the text of the spec, from which archspec writes the class again:

    pickle.dumps(model)    Emitted(text of resnet50.yaml, no choices), "Resnet50", attributes
                           Emitted(the same one, said once), "Bottleneck", attributes
                           …

So a pickle holds no code, and runs none but what archspec emits and its gate lets through. The
Python module of the classes is in `sys.modules`, where `torch.compile` and `inspect` look it up; a
finder for its name would not do in its stead, because a name does not hold a text.
"""

from __future__ import annotations

import builtins
import hashlib
import linecache
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from archspec.emit.lowering.network import class_name
from archspec.network import Choice, Program, Texts, of_texts, texts
from archspec.text.faults import CodedError
from archspec.version import VERSION
from archspec.weights import origin

if TYPE_CHECKING:
    from torch import nn

_LOCK = threading.RLock()
_EMITTED: dict[tuple[str, str], Emitted] = {}  # by what the spec says, and the text it became


class BuildError(CodedError):
    """The module cannot be built.

    Torch is missing, or (a defect of archspec or of a plug-in) the module is not what the graph
    says. The message names the item of the spec and its place.
    """


def network_class(program: Program) -> type[nn.Module]:
    """The class that the emitted source defines.

    Its constructor takes the params that stay arguments. Raises BuildError when torch is not
    installed; whatever is raised where the text cannot be written or run.
    """
    torch_module()
    found: type[nn.Module] = emitted(program).classes[class_name(program.name)]
    return found


def torch_module() -> Any:
    """The module torch. Raises BuildError when it is not installed."""
    try:
        import torch
    except ModuleNotFoundError:
        help = "pip install 'archspec[torch]'"
        raise BuildError("E601", "building a module needs PyTorch", help) from None
    return torch


# ------------------------------------------------------------------ the text, run


@dataclass(frozen=True, slots=True, eq=False)
class Emitted:
    """The emitted text of a program, as it runs in this process: one for all equal programs."""

    program: Program
    filename: str  # in tracebacks
    classes: dict[str, Any] = field(default_factory=dict)  # what the text defines, by name

    def __reduce__(self) -> tuple[Callable[..., Emitted], tuple[Any, ...]]:
        files, choice = _said(self.program)
        return _reopened, (files, choice, _seal(files, choice), _digest(self.program.code), VERSION)

    def __deepcopy__(self, _: Any) -> Emitted:
        return self


def emitted(program: Program) -> Emitted:
    """The classes of a program; the same ones where the source and all texts are equal."""
    with _LOCK:
        # not the code alone: of two specs with equal code `head` and `weights` may differ
        key = _seal(*_said(program)), _digest(program.code)
        if key not in _EMITTED:
            digest = _digest(*key)[:12]
            made = Emitted(program, f"<archspec {program.name} {digest}>")
            _EMITTED[key] = _run(f"archspec_emitted.{program.name}_{digest}", made)
        return _EMITTED[key]


def _run(title: str, made: Emitted) -> Emitted:
    """Runs the text, so that its classes are there."""
    program, filename, text = made.program, made.filename, made.program.code
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    module = types.ModuleType(title)
    module.__file__ = filename
    sys.modules[title] = module
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": _imported}
    try:
        # The one lowering. No text of a spec runs here: emission wrote this from checked names
        # and numbers, and `emit.check` has parsed it and refused all it does not know.
        exec(compile(text, filename, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[title]
        raise
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == title:
            made.classes[name] = value
            value.__reduce_ex__ = _reduced(made)  # type: ignore[assignment,method-assign]
    origin.remember(module, program)
    return made


def _imported(name: str, *rest: Any) -> Any:
    """What the text imports. Ops of torchvision that do not load are plain torch here."""
    if name == "torchvision.ops":
        from archspec.module import detection

        return detection.ops()
    return __import__(name, *rest)


def _digest(*texts: str) -> str:
    return hashlib.sha256("".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


# ------------------------------------------------------------------ pickles


def _reduced(made: Emitted) -> Callable[[Any, Any], Any]:
    """`__reduce_ex__` of a class: what Python would pickle, but for the class itself."""

    def __reduce_ex__(self: Any, protocol: Any) -> Any:  # noqa: N807
        kind = type(self)
        usual = object.__reduce_ex__(self, protocol)
        if made.classes.get(kind.__name__) is not kind:
            return usual  # a class that somebody derived from it
        return (_instance, (made, kind.__name__), *usual[2:])

    return __reduce_ex__


def _instance(made: Emitted, name: str) -> Any:
    """An instance of an emitted class, empty still: unpickling puts its attributes in."""
    kind = made.classes.get(name) if isinstance(made, Emitted) else None
    if kind is None:
        raise BuildError("E609", f"the pickle was changed: its spec makes no class `{name}`", _ANEW)
    return kind.__new__(kind)


_ANEW = "pickle the module again; to keep weights for long, save its state_dict"


def _said(program: Program) -> tuple[Texts, Choice]:
    """The texts of the spec and of all files that it uses, and what was chosen from outside."""
    choice = program.choice
    plain = replace(choice, params=dict(choice.params), inputs=dict(choice.inputs))
    return texts(program), plain


def _seal(files: Texts, choice: Choice) -> str:
    """By which a change of the texts or of the choices is noticed."""
    return _digest(repr((files, choice)))


def _reopened(files: Texts, choice: Choice, seal: str, code: str, version: str) -> Emitted:
    """The classes of pickled texts. Raises SpecError and BuildError."""
    if _seal(files, choice) != seal:
        raise BuildError("E609", "the pickle was changed: its spec is not the one it had", _ANEW)
    if (seal, code) in _EMITTED:
        return _EMITTED[seal, code]
    program = of_texts(files, choice)
    torch_module()
    if _digest(program.code) != code:
        said = f"archspec {version} pickled `{program.name}`; {VERSION} writes other source for it"
        help = f"load it with archspec {version}, and save its state_dict"
        raise BuildError("E610", said, help)
    return emitted(program)
