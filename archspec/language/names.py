"""Name → why it cannot be one: names become Python names and parts of weights' names."""

from __future__ import annotations

import re
from collections.abc import Collection
from keyword import iskeyword

from archspec.expressions import FUNCTIONS
from archspec.layers import REGISTRY

MODIFIERS = (
    "id", "from", "repeat", "when", "shortcut_when", "tap", "tie", "expect", "freeze", "init",
    "note",
)  # fmt: skip
COMPANIONS = ("merge", "shortcut", "with")  # modifiers of some structure words only
STRUCTURE = ("body", "sequential", "branches", "residual", "shared", "call")
MERGES = ("concat", "stack", "add", "mul", "mean", "max")

ID = r"^[A-Za-z_][A-Za-z0-9_]*$"
SEGMENT = r"^[A-Za-z_][A-Za-z0-9_-]*$"  # of a weight's name: torch takes a dash in it, Python none
PARAM = r"^[a-z][a-z0-9_]*$"
BLOCK = r"^[A-Z][A-Za-z0-9]*$"

_ID = re.compile(ID[1:-1])
_SEGMENT = re.compile(SEGMENT[1:-1])
_PARAM = re.compile(PARAM[1:-1])
_BLOCK = re.compile(BLOCK[1:-1])
_AXIS = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\*?(?:\.(?:[A-Za-z0-9_-]+\*?|\*))*")
_INSIDE = re.compile(r"[A-Za-z0-9_-]+")
_NUMBER = re.compile(r"[0-9]{1,10}")
_LONGEST = 100

_WORDS = frozenset({"prev", "input", "loop", "given"})
# Attributes of torch.nn.Module and Sequential (torch 2.13), without those that start with `__`.
# Written down because checking a spec never loads torch; a test compares.
OF_MODULES = frozenset({
    "T_destination", "_apply", "_backward_hooks", "_backward_pre_hooks", "_buffers",
    "_call_impl", "_compiled_call_impl", "_forward_hooks", "_forward_hooks_always_called",
    "_forward_hooks_with_kwargs", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs",
    "_get_backward_hooks", "_get_backward_pre_hooks", "_get_item_by_idx", "_get_name",
    "_is_full_backward_hook", "_load_from_state_dict", "_load_state_dict_post_hooks",
    "_load_state_dict_pre_hooks", "_maybe_warn_non_full_backward_hook", "_modules",
    "_named_members", "_non_persistent_buffers_set", "_parameters",
    "_register_load_state_dict_pre_hook", "_register_state_dict_hook",
    "_replicate_for_data_parallel", "_save_to_state_dict", "_slow_forward", "_state_dict_hooks",
    "_state_dict_pre_hooks", "_version", "_wrapped_call_impl", "add_module", "append", "apply",
    "bfloat16", "buffers", "call_super_init", "children", "compile", "cpu", "cuda", "double",
    "dump_patches", "eval", "extend", "extra_repr", "float", "forward", "get_buffer",
    "get_extra_state", "get_parameter", "get_submodule", "half", "insert", "ipu",
    "load_state_dict", "modules", "mtia", "named_buffers", "named_children", "named_modules",
    "named_parameters", "parameters", "pop", "register_backward_hook", "register_buffer",
    "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_full_backward_pre_hook", "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook", "register_module", "register_parameter",
    "register_state_dict_post_hook", "register_state_dict_pre_hook", "requires_grad_",
    "set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty", "train",
    "training", "type", "xpu", "zero_grad",
})  # fmt: skip
# Names that the emitted source uses itself.
_SOURCE = frozenset({
    "self", "super", "torch", "nn", "math", "functional", "tuple", "list", "float", "bool", "str",
    "zip", "enumerate", "reversed", "isinstance",
})  # fmt: skip
_SPOKEN = frozenset({"true", "false", "null", "none", "required"})
_DEVICES = re.compile(r"(?i)con|nul|prn|aux|com[0-9]|lpt[0-9]|__.*")  # and Python's own names
_MEANS = "has a meaning of its own in the language"
_USED = "is a name that the emitted source uses"


def _bad(name: str, rule: re.Pattern[str], kind: str, *taken: tuple[Collection[str], str]) -> str:
    """Why `name` cannot be one of a kind, or "". `taken`: names, and why none is free."""
    if len(name) > _LONGEST:
        return f"a name of {len(name)} characters; at most {_LONGEST} are allowed"
    if not rule.fullmatch(name):
        return f"`{name}` is not a name for {kind}: `{rule.pattern}`"
    if iskeyword(name) or name in ("match", "case"):
        return f"`{name}` is a keyword of Python"
    return next((f"`{name}` {what}" for names, what in taken if name in names), "")


_OTHER_ID = "choose another id; weights that have this name come in by `rename`, under `weights`"


def other_id(name: object) -> str:
    """The remedy for an id that is none."""
    if isinstance(name, bool) or not _NUMBER.fullmatch(str(name)):
        return _OTHER_ID
    return (
        f"a number is a place in a container: `{{id: layers.{name}, …}}`; in a `sequential` items\n"
        "are numbered from 0, and an `identity` leaves a place free"
    )


def bad_id(name: str, op: str = "") -> str:
    """Why `name` cannot be the id of an item whose operation is `op`, or ""."""
    layer = REGISTRY.get(op)
    alone = layer is not None and not layer.takes  # no module: an attribute that is a tensor
    name, *inside = name.split(".")
    if inside and (op in STRUCTURE and op != "call"):
        return f"`{'.'.join((name, *inside))}` has a dot, and `{op}` names what is inside of it"
    if inside and (alone or not op or len(inside) > 1 or not _INSIDE.fullmatch(inside[0])):
        return f"`{'.'.join((name, *inside))}` is not a name for an item: one dot, `convs.0`"
    wrong = _bad(name, _ID if alone else _SEGMENT, "an item", (_WORDS, _MEANS))
    hides = name in OF_MODULES and not (layer is not None and layer.functional)
    if not wrong and (hides or name.startswith("__")):
        return f"`{name}` is an attribute of torch.nn.Module, which a layer of that name would hide"
    return wrong


def bad_param(name: str) -> str:
    """Why `name` cannot be a param or a column, or ""."""
    return _bad(
        name, _PARAM, "a param or column",
        ((*MODIFIERS, *COMPANIONS), "is a modifier; a param cannot have its name"),
        (FUNCTIONS, "is a function of expressions"),
        (_WORDS | _SPOKEN, _MEANS), (_SOURCE, _USED),
    )  # fmt: skip


def bad_block(name: str) -> str:
    """Why `name` cannot be a block, or ""."""
    return _bad(name, _BLOCK, "a block", (("Tensor", "Any", "Sequence"), _USED))


def bad_input(name: str) -> str:
    """Why `name` cannot be an input, or ""."""
    dunder = (name,) if name.startswith("__") else ()
    taken = (_WORDS - {"input"} | _SOURCE).union(dunder)
    return _bad(name, _ID, "an input", (taken, "has a meaning of its own"))


def input_name(text: str) -> str:
    """The name of a block's input as it is declared: `skip`, `skip?` (optional), `xs*` (a list)."""
    return text[:-1] if text[-1:] in ("?", "*") else text


def bad_output(name: str) -> str:
    """Why `name` cannot be an output, or ""."""
    return _bad(name, _ID, "an output")


def bad_axis(name: str) -> str:
    """Why `name` cannot be a free axis, or ""."""
    return _bad(name, _AXIS, "a free axis")


def bad_document(name: str) -> str:
    """Why `name` cannot be a spec's or a variant's, or "": it becomes a file and a class."""
    wrong = _bad(name, _ID, "a spec")
    if not wrong and _DEVICES.fullmatch(name):
        return f"`{name}` cannot be the name of a file everywhere"
    return wrong


def bad_variant(name: str) -> str:
    """Why `name` cannot be a variant's, or "". A number can: the spec's name stands before it."""
    return "" if _NUMBER.fullmatch(name) else bad_document(name)


def is_path(text: str) -> bool:
    """Whether `text` (its expressions replaced by 0) is a dotted path of names and numbers."""
    return len(text) <= 10 * _LONGEST and _PATH.fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """Whether `text` is a path in which a segment is `*`, or ends in one: `stages.*`, `y*`."""
    return "*" in text and len(text) <= 10 * _LONGEST and _PATTERN.fullmatch(text) is not None


def is_block(text: str) -> bool:
    return _BLOCK.fullmatch(text) is not None
