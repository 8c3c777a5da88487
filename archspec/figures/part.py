"""What figures are made of: parts, each a card or a glyph, and the links between them."""

from __future__ import annotations

from dataclasses import dataclass

from archspec.figures import words
from archspec.layers.base import TensorType

NOTHING = TensorType(())


@dataclass(frozen=True, slots=True)
class Part:
    """One card of a figure: an op, several that belong together, or a block with all its copies.

    `key` is unique in the whole network: the path of the scope or op it stands for where it is
    exactly that ("layer3", "features.0"); of several neighbours, those of the first and the last op
    ("conv1…relu1"). Of what enters or leaves an opened copy: "layer3.1←layer3.0.relu3", "…→name".

    `kind` is one of
      input   the network's input, or what enters an opened copy (then `nodes` is empty)
      op      one op
      fused   one main op with the norm, activation, dropout … around it
      block   a call of a block, or N alike
      group   any other composite: a named group, a branch, a run of neighbours
      merge   add, concat, mul … (with the activation behind it, if there is one): a glyph
      output  a named output, where there are several (`nodes` is empty); none for a part that ends
              the network and is called so itself

    `op` is the spec's name of the main op ("conv", "add"), "" of composites, inputs and outputs.
    `family` says the colour: of the main op (`Layer.family`), of a composite the family with the
    most parameters in it; "input", "output".
    `label` is the main line, without N: "conv 3×3 /2", "Bottleneck", "add", the input's name.
    `name` is what the author called it, the last segment of its path ("layer3"); "" where the name
    was generated or says the same as `label`.
    `notes` are further words in order: of an op its other arguments ("32 groups"), then what is
    fused behind it ("batch norm", "ReLU"); `ahead` what is fused before it ("flatten").
    `arguments` are those of the notes that are arguments, `activations` those that are activations,
    of a group without a name all in it; `preactive` what of `ahead` is an activation.
    `marks`: whose weights it has if not its own, and that it is there in training only.
    `held` are the layers in it by their titles and how many of each: "12 layers: conv ×4, …".
    `nodes` are the indices of all graph nodes covered, ascending, of all copies.
    `main` is the index of the node whose first output is what leaves it (of the last copy): its row
    gives shape, field, stride; of an input that enters a copy, the node it comes from; -1: none.
    `copies` is N of "× N". `varies` says what differs between the copies, as ranges
    ("C 256…1792 step 32").
    `out` is what leaves it, of the last copy; `shape` its shape without the batch axis, `size` that
    in words, "64 · 56²".
    `params` is the sum over `nodes` (weights that are shared count where they are owned).
    `opens`: whether `Outline.inside` has something to show.
    """

    key: str
    kind: str
    family: str
    label: str
    op: str = ""
    name: str = ""
    notes: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    preactive: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    held: str = ""
    nodes: tuple[int, ...] = ()
    main: int = -1
    copies: int = 1
    varies: tuple[str, ...] = ()
    out: TensorType = NOTHING
    params: int = 0
    opens: bool = False

    @property
    def composite(self) -> bool:
        return self.kind in ("block", "group")

    @property
    def times(self) -> str:
        """`× 36`, or ""."""
        return f"× {self.copies}" if self.copies > 1 else ""

    @property
    def counted(self) -> str:
        """`Bottleneck × 36`."""
        return f"{self.label} {self.times}".rstrip()

    @property
    def shape(self) -> tuple[int, ...]:
        return self.out.shape

    @property
    def size(self) -> str:
        return words.shape(self.out)


@dataclass(frozen=True, slots=True)
class Link:
    """Tensors that go from one part to another of the same outline.

    `source` and `target` are keys. `skip`: there is a longer way from source to target, through
    other parts. `size`: only the size of what comes is read, as by an `upsample` to that size.
    `edges` are the graph's edges it stands for, as (node, node), in order; for a link to an output
    part the second is -1.
    """

    source: str
    target: str
    skip: bool = False
    size: bool = False
    edges: tuple[tuple[int, int], ...] = ()
