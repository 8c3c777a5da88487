"""Code → what it means: the table behind `archspec explain CODE`.

E1xx reading, E2xx the document's form, E3xx expansion, E4xx limits, E5xx expected totals,
E6xx build and weights, E7xx figures, E9xx faults of archspec itself, W1xx warnings.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """One kind of complaint: a title of a few words, and a page of text with an example."""

    title: str
    page: str


CODES: dict[str, Code] = {
    # ------------------------------------------------------------ E1xx reading
    "E101": Code(
        "the file cannot be read",
        """The path is missing, is a folder, is not a regular file (a pipe, a device), or may not be
read. Nothing is opened but regular files, so that a spec cannot make a run hang.""",
    ),
    "E102": Code(
        "the text is not UTF-8",
        """A spec is UTF-8 text; a byte order mark is skipped. Save the file again with that
encoding; in most editors it is called "UTF-8" (not "UTF-16" or "Windows-1252").""",
    ),
    "E103": Code(
        "a character that is not allowed",
        """Control characters, characters that reorder or hide text (bidirectional marks, zero-width
spaces), and line ends other than LF or CR LF are refused everywhere, comments included: what a
reviewer sees must be what archspec reads. So is a no-break space where YAML takes a space, and a
dash where it takes `-`: both come with text that is copied from a page or a PDF.""",
    ),
    "E104": Code(
        "not YAML",
        """The text does not follow YAML's grammar at this place. Frequent causes are a missing `-`
or `,`, a value that needs quotes because it contains `: ` or ` #`, and text after a quoted
value.""",
    ),
    "E105": Code(
        "a tab",
        """YAML indents with spaces; a tab looks different in every editor. Replace it.""",
    ),
    "E106": Code(
        "a key given twice",
        """A mapping has the same key twice. YAML readers differ in which one they keep, so neither
is kept here. Remove one, or make one item out of each.

    - conv: {out: 64, kernel: 3, out: 128}    # which?""",
    ),
    "E107": Code(
        "an anchor",
        """YAML anchors (`&name`) are not part of the language: a file of a few hundred bytes can
unfold to gigabytes. Use `params` for a value that occurs in several places, `blocks` for items.""",
    ),
    "E108": Code(
        "an alias",
        """YAML aliases (`*name`) are not part of the language: a file of a few hundred bytes can
unfold to gigabytes. Use `params` for a value that occurs in several places, `blocks` for items.""",
    ),
    "E109": Code(
        "a merge key",
        """YAML merge keys (`<<:`) are not part of the language. Use a block with `params`; what
differs between its uses is given in the call.""",
    ),
    "E110": Code(
        "a tag",
        """YAML tags (`!name`, `!!float`) are not part of the language: a spec is data and can never
name something to construct.""",
    ),
    "E111": Code(
        "a key that is not text",
        """Keys are words. A number, `true`, `null`, a list or a mapping cannot be a key; where a
name is meant that YAML takes for something else, put it in quotes.""",
    ),
    "E112": Code(
        "a number that is not allowed",
        """Numbers are decimal: whole (`64`, at most 20 digits) or with a point or exponent (`0.1`,
`1e-3`), and finite. Hexadecimal and octal numbers, leading zeros, `.inf` and `.nan` are refused,
because readers of YAML disagree on them or no layer can use them.""",
    ),
    "E113": Code(
        "more than one document",
        """A file holds one spec: no second `---`, nothing after `...`, and no `%` directive.""",
    ),
    "E114": Code(
        "something is not closed",
        """A bracket or quote opens here and does not end where it should.""",
    ),
    "E115": Code(
        "a space is missing after `:`",
        """In YAML a key ends with `:` and a space: `{out: 64}`. Without the space, `out:64` is one
word; `{conv:{out: 64}}` and `{relu:}` are refused as well.""",
    ),
    "E116": Code(
        "an expression that needs quotes",
        """YAML ends an unquoted text at `,` `[` `]` `{` `}` inside brackets, and at `: ` and ` #`
everywhere. An expression that contains them is written in quotes:

    {conv: {out: "$(max(8, width))", kernel: 3}}

Outside of `{ }` and `[ ]` the comma needs none:

    SqueezeExcite: $(max(1, input.channels // 4))""",
    ),
    "E117": Code(
        "indentation",
        """Items of one list start in the same column, keys of one mapping too, and what belongs to
a key is indented deeper than the key.""",
    ),
    "E118": Code(
        "not a spec",
        """A spec is a mapping whose first key is `spec: 1`. An empty file, a list or a single word
is not one. `archspec new` writes a spec to start from.""",
    ),
    "E121": Code(
        "text around an expression",
        """A value is either text or one whole expression, `$name` or `$(…)`: nothing is ever
spliced into text. For a negative parameter write `$(-p)`, not `-$p`; for a field `$(x.height)`,
not `$x.height`. A dollar sign is `$$`. Only the segments of `id`, `from` and `shared` may mix
both: `layer$s`, `top$(i + 1)`.""",
    ),
    "E122": Code(
        "an expression that cannot be read",
        """An expression is written as in Python: `$(4 * width)`, `$(stride if loop.first else 1)`.
Brackets and quotes must be closed, and an operator needs something on both sides.""",
    ),
    "E123": Code(
        "something an expression may not contain",
        """Expressions know numbers, strings, `true` and `false`, lists with index and slice,
`+ - * / // % **`, comparisons, `and or not`, `a if c else b`, the functions `min max abs ceil floor
round int len sum range make_divisible`, and the fields of `prev`, `loop` and the inputs. Nothing
else: they are never executed as Python.""",
    ),
    # ------------------------------------------------------------ E2xx form
    "E201": Code(
        "an unknown key",
        """The key has no meaning at this place. The complaint names the key that is nearest, or
those that are known here.""",
    ),
    "E202": Code(
        "a missing key",
        """A document needs `spec: 1`, `input` and a `body` (or `sequential`), a block a body.""",
    ),
    "E203": Code(
        "inputs of different shapes",
        """What is merged has equal rank and, along each axis, equal size or 1 (`concat`: equal
but for its axis). torch aligns axes on the right and would multiply along the wrong one in
silence. Both shapes stand in the complaint, with where they come from. In a residual whose main
path has a stride or other channels, the shortcut needs a projection:

    - residual: [{conv: {out: $out, kernel: 3, stride: 2, padding: 1}}]
      shortcut: [{conv: {out: $out, kernel: 1, stride: 2}}]""",
    ),
    "E204": Code(
        "a value of the wrong kind",
        """The value is a number, text, list or mapping where another kind is needed. Note that
`yes`, `no`, `on` and `off` are text in YAML 1.2; write `true` or `false`.""",
    ),
    "E205": Code(
        "a name that is not allowed",
        """Names become Python names in the emitted source and parts of weights' names. Ids are
`[A-Za-z_][A-Za-z0-9_]*`, params and columns `[a-z][a-z0-9_]*`, blocks `[A-Z][A-Za-z0-9]*`. Python
keywords, attributes of torch.nn.Module (`train`, `forward`, `parameters` …) and `prev`, `input`,
`loop`, `self` are refused, because a layer of that name could not be reached.""",
    ),
    "E206": Code(
        "a name given twice",
        """Blocks and used files share one set of names, and the inputs and params of a block
another.""",
    ),
    "E207": Code(
        "an unknown operation",
        """An item's operation is an op (`lower_case`, see `archspec list`), a block of this file
(`CamelCase`), or one of `body`, `sequential`, `branches`, `residual`, `shared`.""",
    ),
    "E208": Code(
        "an unknown parameter",
        """The op or block has no parameter of that name.""",
    ),
    "E209": Code(
        "a missing parameter",
        """The op or block cannot do without this parameter; of a block it is one declared
`required`.""",
    ),
    "E210": Code(
        "an argument that the op does not take",
        """The value is of the wrong kind or out of range for this parameter. `true` is not a
number, `2.0` is not a whole number, and text with digits (`3x3`) is text: write a list, `[3, 3]`,
for one number an axis.""",
    ),
    "E211": Code(
        "another library's spelling",
        """The op or parameter is known under a shorter name: `out`, `kernel`, `stride`, `padding`,
`dilation`, `groups`, `bias`, `eps`. Input channels and sizes are always inferred.""",
    ),
    "E212": Code(
        "a modifier among the parameters",
        """`id from repeat when tap expect freeze init note` stand beside the operation:

    - DoubleConv: {out: $width}
      when: $(depth > 0)""",
    ),
    "E213": Code(
        "a parameter beside the operation",
        """Parameters stand inside the operation's value, modifiers beside it:

    - conv: {out: 64, kernel: 3}""",
    ),
    "E214": Code(
        "not exactly one operation",
        """An item is a word or a mapping with exactly one operation key. Two operations are two
items, each with its own `-`.""",
    ),
    "E215": Code(
        "a modifier that means nothing here",
        """`merge` belongs to `branches` and `residual`, `shortcut` and `shortcut_when` to
`residual`.""",
    ),
    "E216": Code(
        "columns of different length",
        """The columns of a `repeat` go in step: copy 1 takes the first value of each, and so on.
All have the same length.""",
    ),
    "E217": Code(
        "arguments that do not go together",
        """Each argument is right by itself, but the op cannot have both: lists for different
numbers of axes, padding of more than half a pooling kernel, a dropout between layers of a
recurrent op that has one layer.""",
    ),
    "E218": Code(
        "a repeat that cannot be counted",
        """`repeat` is a whole number from 0, or columns of equal length:
`{n: [2, 2, 3], c: [64, 128, 256]}`.""",
    ),
    "E219": Code(
        "an unknown name in an expression",
        """Blocks see their own params and inputs and nothing else; the body sees the document's
params and inputs. Columns of a `repeat` are known inside it.""",
    ),
    "E220": Code(
        "a name that has no value here",
        """`prev`, the inputs, `loop` and columns have values only where an item is placed:

    params, variants             params written above; of a block, also its inputs
    document input, init, outputs, repeat   params, and the columns of the repeats around
    arguments, when, expect, init           also own columns, loop, prev, inputs
    segments of id, from, shared            params, columns, loop""",
    ),
    "E221": Code(
        "weights' initialisation",
        """`init` names a filler of `torch.nn.init`, alone or with parameters, or a number:

    init:
      conv: {kaiming_normal: {mode: fan_out}}
      linear: {weight: {normal: 0.01}, bias: zeros}""",
    ),
    "E222": Code(
        "expected totals",
        """`expect` of a document gives totals by variant, `{vgg16: {params: 138357544}}`;
`expect` of an item is its output shape, with `~` for any size.""",
    ),
    "E223": Code(
        "a file that may not be used",
        """`use` reads spec files below the folder of the file that names them: a relative path,
without `..`, address, home folder or link that leads out. The caller can allow more, a file
cannot.""",
    ),
    "E224": Code(
        "files that use each other",
        """A file may not use itself, directly or through others.""",
    ),
    "E225": Code(
        "an unknown variant",
        """The variant is not declared under `variants`. Variants are named sets of params.""",
    ),
    "E226": Code(
        "another version of the language",
        """This release reads `spec: 1`.""",
    ),
    "E227": Code(
        "inputs given twice",
        """A merge takes its inputs as a list, `add: [a, prev]`, or from `from`; not both.""",
    ),
    "E228": Code(
        "where weights come from",
        """`weights` names an entry of a torchvision enum, a model of timm, or a file with its
SHA-256: by itself for the spec without changes, or by variant.

    weights:
      torchvision: {resnet50: ResNet50_Weights.IMAGENET1K_V2, resnet18: ResNet18_Weights.DEFAULT}
      file: {url: https://example.org/net.safetensors, sha256: 9f86d081…}""",
    ),
    "E229": Code(
        "an entry of `rename`",
        """Left stands a name of the spec, right what it is in the source. A part of a name, ending
in `.`, stands for all names below it. `{i}` is a whole number; right may be expressions over them.

    rename:
      "stages.{i}.{j}.": "layer{i+1}.{j}."
      "attention.in_proj_weight": [q.weight, k.weight, v.weight]     # joined
      "query.": {from: qkv., part: [0, 3]}                           # the first of three
      "fc.weight": {from: conv.weight, reshape: true}                # a 1x1 kernel""",
    ),
    # ------------------------------------------------------------ E3xx shapes, wiring, names
    "E301": Code(
        "an input the op cannot take",
        """The op refuses its inputs; the complaint says by which rule, with their shapes.""",
    ),
    "E302": Code(
        "a wrong number of axes",
        """The op needs another rank, or an axis that the input does not have. Axis 0 is the first
after the batch, -1 the last. Axes are joined with `flatten`, exchanged with `permute`, made with
`unflatten` or `reshape`.""",
    ),
    "E303": Code(
        "a wrong type of numbers",
        """Inputs are float, int (tokens, for `embedding`) or bool (masks: true hides). `input`
declares them: `{shape: [{T: 77}], dtype: int}`.""",
    ),
    "E304": Code(
        "nothing would be left",
        """The window is larger than its input with padding, an index or slice is outside of it,
or so little is left that the result would be empty or zero. Frequent cause: more poolings or
strides than the input has halvings.""",
    ),
    "E305": Code(
        "sizes that do not divide",
        """Groups, heads, pieces and factors divide the axis they split, and `reshape` keeps the
number of elements.""",
    ),
    "E306": Code(
        "a linear layer on a map",
        """`linear` maps the last axis. Of a map [C, H, W] that is a row of space, which is hardly
ever meant. Put `flatten` or `global_avg_pool` before it; where channels are meant at each place,
`permute` them to the end.""",
    ),
    "E311": Code(
        "a wrong number of inputs",
        """The op or block takes more or fewer inputs than it is given. Inputs other than the
previous item are named by `from`, in order or by name: `from: {query: x, key: memory}`.""",
    ),
    "E312": Code(
        "a path that leads nowhere",
        """`from`, `shared` and `outputs` see earlier items of the same body, then outward to the
edge of the block, and the inputs of the block. A dotted path goes into groups, copies
(`stages.3`) and branches, but into a block or a used file only to its `outputs`.

    - {id: enc1, DoubleConv: 64}
    - max_pool: 2
    - concat: [prev, enc1]""",
    ),
    "E313": Code(
        "nothing flows on",
        """Of several outputs the one called `output` flows on. Where none is, the next item says
with `from` which it takes: `{from: half.1, conv: …}`.""",
    ),
    "E314": Code(
        "two equal paths",
        """The path of an item is the name of its weights, so no two items that are there may have
the same. In a repeat, an id that is the same in every copy is a frequent cause: give the repeat
itself an id (`stages.0.conv`, `stages.1.conv`), or let the id tell the copies apart
(`conv$(loop.index)`).""",
    ),
    "E315": Code(
        "an item that no output needs",
        """What the item computes reaches no output, so it would cost time and hold weights that are
never trained. Name it in `outputs`, take it with `from`, or leave it out. A `tap` is never on the
line: it reaches an output only by name.""",
    ),
    "E316": Code(
        "weights that cannot be shared",
        """`shared` runs an earlier item once more with the same weights. It names one item or one
copy, and its new input must lead to the same layers, with weights of the same names and shapes: a
`when` or an argument inside that depends on the size of the input would make it another module.""",
    ),
    "E317": Code(
        "training only, but needed always",
        """What a `tap: train` computes is not there in evaluation. Only `outputs` and other taps
for training may use it. A tap that is computed in both is `tap: always`.""",
    ),
    "E318": Code(
        "a head that is not there",
        """`head` names the item, or items, whose weights are started afresh where published ones do
not fit, by path: `fc`, `classifier.6`, `aux1.fc2`. A path that leads nowhere would refuse the very
weights that were to be let go. An item that is absent in this variant, because of its `when`, may
be named.""",
    ),
    "E321": Code(
        "an unknown param",
        """A param set from outside (`--set`, or a keyword of `load`) is one that the document
declares under `params`.""",
    ),
    "E322": Code(
        "a param of the wrong kind",
        """A value from outside or from a variant is of the kind its default has: a whole number
stays whole, `true` is not a number, a list is not a number. A whole number may stand for a
float.""",
    ),
    "E323": Code(
        "a param that is not set",
        """The document declares the param `required`, so that it has no default: set it with
`--set name=value`, or as a keyword of `load`.""",
    ),
    "E324": Code(
        "an input that does not fit",
        """An input shape given from outside is for an input that the document declares, with as
many axes, each at least 1, and without the batch axis: `--input 3x64x64`.""",
    ),
    "E325": Code(
        "one axis, two sizes",
        """Free axes of the same name (`{T: 77}`) have the same size in all inputs.""",
    ),
    # ------------------------------------------------------------ E3xx evaluation of expressions
    "E361": Code(
        "an expression without a value",
        """The expression cannot be computed for these values: a division by zero, an index outside
of the list, a number where a list is needed. `true` and `false` are not numbers, text has no
arithmetic, and a float is not a whole number even if it is whole: use `//` or `int`.""",
    ),
    "E362": Code(
        "a name without a value",
        """The expression reads a name that nothing here gives a value.""",
    ),
    # ------------------------------------------------------------ E4xx limits
    "E401": Code(
        "the file is too large",
        """A spec file has at most 1 MiB, a spec with all files it uses 8 MiB; the caller can raise
both (`Limits(file_bytes=…)`).""",
    ),
    "E402": Code(
        "nested too deeply",
        """Lists and mappings of one file are nested at most 64 deep. Use blocks.""",
    ),
    "E403": Code(
        "a text that is too long",
        """One scalar has at most 10,000 characters, a name at most 100.""",
    ),
    "E404": Code(
        "too many files in a chain",
        """Files use files at most 16 deep.""",
    ),
    "E405": Code(
        "an expression that is too large",
        """Expressions are bounded before they are computed: 1,000 characters, 64 levels of nesting,
numbers below 2^256, lists of 10,000 entries.""",
    ),
    "E406": Code(
        "too many ops",
        """A network unrolls to at most 1,000,000 ops. They are counted before anything is unrolled;
the caller can raise the limit (`Limits(nodes=…)`), a file cannot.""",
    ),
    "E407": Code(
        "calls nested too deeply",
        """Blocks call each other at most 200 levels deep. A block that calls itself needs a
`when` that ends it:

    - UNet: {depth: $(depth - 1)}
      when: $(depth > 0)""",
    ),
    "E408": Code(
        "a tensor that is too large",
        """One tensor, of one sample, or one weight has at most 2^40 elements; the caller can
raise the limit (`Limits(elements=…)`).""",
    ),
    # ------------------------------------------------------------ E5xx expected shapes and totals
    "E501": Code(
        "another shape than expected",
        """`expect` of an item is the shape that its author says the output has (of a repeated item:
after its last copy; `~` is any size). The output that was inferred has another.""",
    ),
    "E502": Code(
        "another total than expected",
        """`expect` of the document gives totals by variant. They are compared whenever nothing is
set from outside; here one differs from what was computed.""",
    ),
    # ------------------------------------------------------------ E6xx build and weights
    "E601": Code(
        "PyTorch is missing",
        """Checking, analysing and writing source need no PyTorch; building a module does. Install
it with `pip install 'archspec[torch]'`.""",
    ),
    "E602": Code(
        "a package that is missing or too old",
        """Weights are read with the package safetensors and torch 2.10 or later (`weights_only` of
earlier releases could be got round): `pip install 'archspec[torch]'`. Published weights come
through torchvision or timm: `'archspec[torchvision]'`, `'archspec[timm]'`.""",
    ),
    "E603": Code(
        "a file of weights that cannot be read or written",
        """The path is missing, a folder, or no regular file. A file that archspec did not write is
replaced only with `force`.""",
    ),
    "E604": Code(
        "a damaged file of weights",
        """The file is cut off, or its header contradicts itself or the data: the model keeps the
values it had. Fetch the file again, or save it again where it comes from.""",
    ),
    "E605": Code(
        "a file that holds more than tensors",
        """Weights are read as data: safetensors, and torch's zip files with `weights_only=True`. A
pickle that names code, a program (.pt2, TorchScript) and other formats are refused, and never tried
again in an unsafe way. Whoever trusts the file saves its state_dict alone.""",
    ),
    "E606": Code(
        "a file out of all proportion",
        """The file is much larger than the model, holds more tensors than any network, unfolds to
more than it is, or claims tensors larger than what it stores.""",
    ),
    "E607": Code(
        "weights that are not finite",
        """A tensor holds NaN or infinity, or does so after a conversion to a narrower dtype. The
model keeps the values it had.""",
    ),
    "E608": Code(
        "a dtype that is no weight",
        """Weights are dense tensors of floats, and of whole numbers where a layer counts.
Quantised, sparse and unknown kinds are refused.""",
    ),
    "E611": Code(
        "tensors that are not matched",
        """Every tensor of the model comes from one of the source, and every tensor of the source
goes somewhere: what is left is a mistake until somebody says otherwise. Names are matched by: the
same layer of the network that the file was saved from (or of `from_spec`), equal names, the spec's
`rename`. Never by shape or by order. What may be left: the spec's `head`, and paths in `allow`.
`archspec weights report` shows every tensor, `archspec weights map` proposes a `rename`.""",
    ),
    "E612": Code(
        "tensors of another shape or dtype",
        """A tensor was found by its name, and is not what the model has there: another variant,
other params, another dtype (`cast` converts between floats). A head for other classes is named by
the spec's `head`; a first convolution for other channels is fitted with `adapt_input`.""",
    ),
    "E613": Code(
        "a name with two meanings",
        """A tensor is in the source under its own name and, by `rename`, under another; or one
tensor of the source would be used twice. Which names the source has is said by `source`:
"torchvision", "timm" or "file" for those of the table, "spec" for the spec's own.""",
    ),
    "E614": Code(
        "a model without values",
        """A model on the meta device has shapes and no numbers. `model.to_empty(device="cpu")`
gives it room for some.""",
    ),
    "E615": Code(
        "weights that cannot be fetched",
        """There is no network, or the address does not answer. The complaint says which file to put
where; then nothing is fetched.""",
    ),
    "E616": Code(
        "another file than the one that is meant",
        """The SHA-256 of the file is not the one that the spec, or the file's own name, says. It
was not read.""",
    ),
    "E617": Code(
        "a source that the spec does not name",
        """`weights` of the spec says, by source and variant, what to fetch. Without an entry,
weights are loaded from a path.""",
    ),
    "E618": Code(
        "names that could not be proved",
        """A table of names is proposed only when both modules, with the same random weights carried
over by it, give the same outputs. Here they do not, or there is no one-to-one proposal. The table
then has to be written by hand.""",
    ),
    # ------------------------------------------------------------ E7xx figures
    "E701": Code(
        "a view that there is not",
        """`archspec render --view` takes one of these: `blocks` (the network folded to at most 40
cards), `graph` (every op), `tower` (feature maps as volumes), `levels` (height by stride), `module`
(one block), `field` (the receptive field of a node), `html` (a page to walk through); `auto`, the
default, picks one that suits the network.""",
    ),
    "E702": Code(
        "a view that does not suit the network",
        """Not every network can be shown in every way. `tower` stacks feature maps between one
input and one output, so it needs maps of several sizes and no paths that part and meet further on;
`levels` needs maps, at two strides or more; `module` needs a block; `field` needs a node that sees
a part of an image or sequence. `--view blocks` and `--view graph` draw everything.""",
    ),
    "E703": Code(
        "a block or node that there is not",
        """`--block` takes the name of a block of the spec, or the path of one of its calls.
`--node` takes the path of an op. `archspec summary SPEC` lists the paths.""",
    ),
    "E704": Code(
        "a format that the view does not have",
        """The ending of the output file says the format: .svg, .pdf, .png for print, .tex for TikZ,
.dot for Graphviz, .mmd for Mermaid, .html for the page. TikZ is for the views that are drawn by
hand (`tower`, `levels`, `module`), DOT for `blocks` and `graph`, Mermaid for `blocks`.""",
    ),
    "E705": Code(
        "a package for figures is missing",
        """SVG, TikZ, Mermaid and HTML need nothing else. PDF needs reportlab, PNG pypdfium2 and
pillow too, DOT graphviz and the view `graph` pygraphviz. All come with
`pip install 'archspec[figures]'`.""",
    ),
    # ------------------------------------------------------------ E9xx archspec itself
    "E901": Code(
        "a fault of archspec",
        """The emitted module is not what the analysis says it is. It was not handed out. Please
report it with the spec file.""",
    ),
    # ------------------------------------------------------------ W1xx warnings
    "W101": Code(
        "two linear maps in a row",
        """Two convolutions or linear layers with nothing nonlinear between them compute one linear
map, with more weights than it needs. Usually an activation was forgotten.

Left alone: maps through fewer channels than enter or leave (a linear bottleneck), grouped and
depthwise ones (separable convolutions), 1 x n followed by n x 1, and an upsampling filter.""",
    ),
    "W102": Code(
        "a bias before a normalisation",
        """Batch and instance normalisation subtract the mean of each channel, and with it the
bias of the layer before them. Write `bias: false` there; the normalisation has a bias of its own.
Where a published network has it all the same, say so: `expect: {warnings: [W102]}`.""",
    ),
    "W103": Code(
        "a softmax under a cross-entropy loss",
        """torch.nn.CrossEntropyLoss takes logits and applies the softmax itself. Behind a softmax
of the network it is applied twice: gradients vanish and training is slow, without an error.""",
    ),
    "W104": Code(
        "a kernel that its stride does not divide",
        """Cells of the output of a transposed convolution are sums of differently many terms when
the stride does not divide the kernel, which shows in images as a checkerboard. Take a multiple of
the stride (4 with stride 2), or upsample and convolve. Odena, Dumoulin, Olah: Deconvolution and
Checkerboard Artifacts, Distill 2016.""",
    ),
    "W105": Code(
        "cells that are never seen",
        """A window moves further than it is wide, so that some cells of its input have no effect
here. Left alone: shortcuts, and windows beside a path that sees these cells.""",
    ),
    "W106": Code(
        "branches that are not aligned",
        """Paths are merged whose cells at the same place see different places of the input: their
receptive fields have other strides, or centres half a cell or more apart (behind an upsampling,
more than a cell of the coarse map). Causal paths, whose right edges agree, are left alone.""",
    ),
    "W107": Code(
        "a receptive field far from the size of the input",
        """Before a global pool no cell sees half of the input, so no cell sees an object that fills
it; or the field is more than 32 times the input, so that most of the kernels see padding. Sizes per
node are in `archspec summary`.""",
    ),
    "W108": Code(
        "a parameter that nothing uses",
        """A param of the document or of a block is read by no expression, so that setting it does
nothing. A misspelt name is a frequent cause.""",
    ),
    "W109": Code(
        "an input that nothing reads",
        """An input of the network, or one that a block names under `inputs`, is taken by no item
and read by no expression, so that what is passed for it has no effect. The first input flows into
the first item that does not say `from`; the others are taken by name: `concat: [prev, skip]`,
`from: {query: x, key: memory}`.""",
    ),
    "W110": Code(
        "parts of a used file fall away",
        """`use` with `outputs` of its own takes from the file what these outputs need. The rest is
not built; its weights are not there. Names stay those of the file.""",
    ),
}


def explain(code: str) -> str:
    """The page on a code. Raises KeyError for an unknown one."""
    title, page = CODES[code]
    return f"{code}: {title}\n\n{page}\n"
