"""What is written is proved against the graph: a text that differs in anything is refused."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from mutants import difference, mutants, network
from random_specs import from_seed

from archspec import emit
from archspec.emit.check import Declared, Gate, UnsafeTextError, verify
from archspec.emit.proof import UnprovenError, prove
from archspec.emit.reading import Reading
from archspec.module import BuildError, build
from archspec.network import Program, load, loads


@cache
def program(spec: str) -> Program:
    name, _, variant = spec.partition(" ")
    return load(name, variant or None)


def refusal(program: Program, text: str) -> str:
    """Why a text is not the network of a program; "" where it is."""
    try:
        prove(Reading(text), program.graph.root)
    except UnprovenError as error:
        return error.placed(program.sources).message.removeprefix(
            "the source would not be the network: "
        )
    return ""


# ---------------------------------------------------------------- one thing changed


# A spec, what stands in its text, what is put there, and how it is refused.
TAMPERED = [
    # a number
    ("resnet50", "nn.Conv2d(3, 64, 7", "nn.Conv2d(3, 64, 5", "`conv1` of `resnet50` is made in"),
    ("resnet50", "for _ in range(5)", "for _ in range(4)", "is missing"),
    ("vgg16", "nn.Dropout()", "nn.Dropout(0.25)", "is made in another way"),
    ("densenet121", "4 * growth, 1, bias", "2 * growth, 1, bias", "`conv1` of `DenseLayer` is"),
    ("mobilenet_v3", "(5, 960, 160, True, 1", "(5, 900, 160, True, 1", "is made in another way"),
    ("yolov3", "nn.LeakyReLU(0.1)", "nn.LeakyReLU(0.2)", "`leaky_relu1` of `ConvBN` is made in"),
    ("lstm_classifier", "batch_first=True", "batch_first=False", "is made in another way"),
    ("transformer", "heads, dropout=0.1", "heads, dropout=0.2", "`self_attn` of `EncoderLayer`"),
    # in one instance only
    ("resnet50", "Bottleneck(256, 128, stride=2)", "Bottleneck(256, 128, stride=1)", "`conv2` of"),
    ("googlenet", "Inception(528, c1=256", "Inception(528, c1=255", "`conv` of `BasicConv` is"),
    ("unet", "depth=depth - 1", "depth=depth", "makes a class of itself without end"),
    ("unet", "width=2 * width)", "width=2 * width if depth != 2 else width)", "is made in another"),
    # a member or variable in place of another
    ("resnet50", "self.relu1(self.bn1(self.conv1(x)))", "self.relu2(self.bn1(self.conv1(x)))",
     "`relu2` of `Bottleneck` is called with other inputs"),
    ("resnet50", "self.relu3(bn3 + x)", "self.relu3(bn3 + y)", "`relu3` of `Bottleneck` is called"),
    ("resnet50", "self.relu3(bn3 + x)", "self.relu3(bn3 - x)", "`relu3` of `Bottleneck` is called"),
    ("googlenet", "[self.branch1(x), self.branch2(x),", "[self.branch2(x), self.branch1(x),",
     "`Inception` computes torch.cat of other things"),
    ("densenet121", "torch.cat([x, self.conv2(y)], 1)", "torch.cat([self.conv2(y), x], 1)",
     "`DenseLayer` computes torch.cat of other"),
    ("densenet121", "self.conv2(y)], 1)", "self.conv2(y)], 2)", "`DenseLayer` computes torch.cat"),
    ("vae", "self.z(mean, log_var)", "self.z(log_var, mean)", "`z` of `vae` is called with other"),
    ("vae", '"mean": mean', '"mean": log_var', "`vae` returns something else"),
    ("vae", '"mean": mean', '"average": mean', "`vae` returns something else"),
    ("yolov3", "self.stages[3](stages2)", "self.stages[4](stages2)", "is called with other inputs"),
    ("faster_rcnn", "return objectness, deltas", "return deltas, objectness",
     "`RPNHead` returns something else"),
    ("transformer", "self.decoder(tgt, x, src_padding)", "self.decoder(x, tgt, src_padding)",
     "`decoder` of `transformer` is called with other inputs"),
    # something left out, or there twice
    ("resnet50", "x = self.max_pool1(x)", "x = x", "is called with other inputs"),
    ("resnet50", "self.bn2 = nn.BatchNorm2d(width)", "bn2 = 0",
     "`bn2` of `Bottleneck` is missing"),
    ("resnet50", "self.bn2 = nn.", "self.bn1 = nn.", "`bn1` of `Bottleneck` is the name of two"),
    ("resnet50", "self.bn1 = nn.", "self.bn0 = nn.BatchNorm2d(width)\n        self.bn1 = nn.",
     "`bn0` of `Bottleneck` has no place in the spec"),
    ("resnet50", "x = self.layer1(x)", "self.layer1(x)\n        x = self.layer1(x)",
     "`layer1.0` of `resnet50` is not called as often as in the spec"),
    ("googlenet", "aux2 = self.aux2(x)", "aux2 = aux1", "`aux2` of `googlenet` is not called"),
    ("googlenet", "if self.training:\n            return {", "if 1:\n            return {",
     "`googlenet` reads aux1, which is not set"),
    ("vit_b_16", "self.heads(x[:, 0])", "self.heads(x[:, 1])", "`heads.head` of `vit_b_16` is"),
    ("vit_b_16", ".permute(0, 2, 1)", ".permute(0, 1, 2)", "computes permute of other things"),
    ("shufflenet_v2", ".chunk(2, 1)", ".chunk(2, 2)", "`Unit` computes chunk of other things"),
    # initial values and what is not learned
    ("resnet50", 'mode="fan_out", ', "", "`conv1` of `resnet50` begins with other values of its"),
    ("resnet50", "isinstance(module, nn.Conv2d)", "isinstance(module, nn.Linear)", "other values"),
    ("densenet121", "nn.init.zeros_(module.bias)", "nn.init.ones_(module.bias)", "of its bias"),
    ("vit_b_16", "nn.init.normal_(self.pos_embedding, std=0.02)", "std = 0.02",
     "`encoder.pos_embedding` of `vit_b_16` begins with other values of its weight"),
    ("transformer", "type(module) is nn.Linear", "isinstance(module, nn.Conv2d)", "other values"),
    ("transformer", '"weight" in name', '"bias" in name', "begins with other values"),
    ("vgg16", "        for module in self.modules():",
     "        self.classifier.requires_grad_(False)\n        for module in self.modules():",
     "is frozen"),
    # a definition that torch lacks, and its argument
    ("siamese", "return x.abs()", "return x", "has another definition of Abs"),
    ("mobilenet_v3", "max(divisor, int(", "max(1, int(", "has another definition of make_div"),
    ("efficientnet_b0", "drop=0.2 * done / 16", "drop=0.2 * done / 17", "`drop_path1` of `MBConv`"),
    ("mobilenet_v3", "nn.Module] = nn.Hardswish", "nn.Module] = nn.batch_norm1",
     "does not know"),
    # what torch would not take, or changes something on the way
    ("resnet50", "x = self.layer1(x)", "x.relu_()\n        x = self.layer1(x)",
     "computes relu_ of other things than in the spec"),
    ("resnet50", "super().__init__()\n        self.conv1 = nn.Conv2d(3", "self.conv1 = nn.Conv2d(3",
     "`conv1` of `Resnet50` cannot be an attribute yet"),
    ("densenet121", 'add_module("conv0"', 'add_module("a.conv0"', "cannot be an attribute"),
    ("resnet50", "self.conv1 = nn.Conv2d(3",
     "self.requires_grad_(False)\n        self.conv1 = nn.Conv2d(3",
     "`resnet50` gets modules after what is said of all of them"),
    # what is not known
    ("resnet50", "x = self.max_pool1(x)", "x = self.max_pool1(x)\n        x += x", "does not know"),
    ("resnet50", "x = self.max_pool1(x)", "x = self.max_pool1(x.half())", "computes half of"),
    ("resnet50", "x = self.layer1(x)", "while x: x = self.layer1(x)", "of the kind While"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "old", "new", "said"), TAMPERED)
def test_what_is_changed_is_refused(spec: str, old: str, new: str, said: str) -> None:
    text = program(spec).code
    assert old in text, text
    found = refusal(program(spec), text.replace(old, new, 1))
    assert said in found


def test_a_refusal_names_the_place_of_the_item() -> None:
    text = program("resnet50").code
    line = next(n for n, t in enumerate(text.splitlines(), 1) if "self.relu3(bn3 + x)" in t)
    found = refusal(program("resnet50"), text.replace("self.relu3(bn3 + x)", "self.relu3(bn3)"))
    assert found == (
        "`relu3` of `Bottleneck` is called with other inputs than in the spec, "
        f"in line {line} of the source (resnet50.yaml:44:9)"
    )


def test_what_is_not_the_network_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(text: str, *declared: Declared) -> Gate:
        return Gate(text.replace("nn.Linear(4, 2)", "nn.Linear(4, 3)"), *declared)

    monkeypatch.setattr(emit, "Gate", wrong)
    small = loads("spec: 1\nname: n\ninput: [4]\nbody:\n- {id: fc, linear: 2}\n")
    with pytest.raises(UnprovenError, match=r"`fc` of `n` is made in another way.*<text>:5:12"):
        _ = small.code
    with pytest.raises(BuildError, match="E903 the source would not be the network: `fc` of `n`"):
        build(small)


FROZEN = """\
spec: 1
name: n
input: [3, 8, 8]
body:
- {id: features, freeze: true, body: [{conv: {out: 4, kernel: 3}}, batch_norm, dropout]}
- {id: head, conv: {out: 2, kernel: 1}}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("self.features.requires_grad_", "self.head.requires_grad_", "`head` of `n` is frozen"),
        ("self.features.modules()", "self.head.modules()", "`features.batch_norm1` of `n` is"),
        ("module.eval()", "mode = 1", "is in evaluation mode at other times"),
        ('if hasattr(module, "running_mean"):', "if 1:", "has a loop that changes containers"),
        ("        self.train()\n", "", "a train() of another form"),
        ("super().train(mode)", "super().train(True)", "a train() of another form"),
    ],
)
def test_what_is_frozen_stays_so(old: str, new: str, said: str) -> None:
    frozen = loads(FROZEN)
    assert old in frozen.code
    assert said in refusal(frozen, frozen.code.replace(old, new))


LISTED = """\
spec: 1
name: listed
input: [4, 6, 6]
body:
- id: stages
  sequential:
  - conv: {out: 4, kernel: 1}
  - conv: {out: 4, kernel: 1}
  - {id: half, split: 2}
  - {id: act, from: half.1, relu: }
  - concat: [half.1, act]
  - conv: {out: 4, kernel: 1, bias: false}
- {id: gamma, parameter: {shape: 4}}
- {id: column, from: gamma, reshape: [4, 1, 1]}
- mul: [stages, column]
- id: levels
  sequential: [{repeat: 4, conv: {out: 4, kernel: 1}}]
- {id: top, concat: [levels.2, levels.3]}
outputs: {levels: [levels.2, top]}
"""
STATES = """\
spec: 1
name: states
input: {x: [5, 4], y: [3, 4]}
body:
- {id: encoder, from: x, lstm: {hidden: 4, layers: 2}}
- {id: decoder, from: {x: y, h: encoder.h, c: encoder.c}, lstm: {hidden: 4, layers: 2}}
outputs: {out: decoder.output, h: encoder.h, c: decoder.c}
"""


@pytest.mark.parametrize(
    ("spec", "old", "new", "said"),
    [
        # torch finds what is called "1", not what stands there; its slice calls the constructor
        (LISTED, "self[1](self[0](x))", "self[0](self[1](x))", "`stages.1` of `listed` is"),
        (LISTED, "self[1](self[0](x))", "self[2](self[0](x))", "of other things"),
        (LISTED, "self[1](", "self[-1](", "has nothing at [-1]"),
        (LISTED, "self[1](self[0](x))", "self[:2][1](self[0](x))", "has nothing at [slice("),
        (LISTED, "_, half1 =", "half1, _ =", "`stages.act` of `listed` is called"),
        (LISTED, 'add_module("1", nn.Conv2d(4, 4, 1))', 'add_module("1", nn.Identity())',
         "`stages.1` of `listed` is made in another way"),
        (LISTED, "self.levels[:3]", "self.levels[1:]", "is called with other inputs"),
        (LISTED, "self.levels[:3]", "self.levels", "is called with other inputs"),
        (LISTED, "view(-1, 1, 1)", "view(1, -1, 1)", "computes view of other things"),
        (LISTED, 'return {"levels": [levels2, top]}', "return [levels2, top]", "something else"),
        (LISTED, "[levels2, top]}", "[top, levels2]}", "something else"),
        (STATES, "_, (h, c)", "_, (c, h)", "`decoder` of `states` is called with other inputs"),
        (STATES, "_, (h, c)", "h, c", "computes transpose of other things"),
        (STATES, "(y, (h, c))", "(y, (h.transpose(0, 1), c))", "`decoder` of `states` is called"),
        (STATES, "output, (_, c) = self.decoder", "output, _ = self.decoder", "something else"),
    ],
)  # fmt: skip
def test_lists_and_states_are_followed(spec: str, old: str, new: str, said: str) -> None:
    small = loads(spec)
    assert old in small.code, small.code
    assert said in refusal(small, small.code.replace(old, new, 1))


# ---------------------------------------------------------------- by chance


@pytest.mark.parametrize("seed", range(12))
def test_a_mutant_is_refused_or_does_the_same(seed: int) -> None:
    drawn = loads(from_seed(seed)) if seed else program("lenet5")
    text, right, tally = drawn.code, network(drawn.code), Counter[str]()
    for mutant, change in mutants(text, seed, 25):
        try:
            verify(mutant)
        except (SyntaxError, UnsafeTextError):
            continue
        refused = refusal(drawn, mutant)
        tally["refused" if refused else "kept"] += 1
        assert refused or not difference(mutant, right, drawn), change
    assert tally["refused"] > 8


NORMED = """
spec: 1
name: normed
input: [3, 8, 8]
init: {conv: {normal: 0.05}}
body: [{conv: {out: 4, kernel: 3, reparam: weight_norm}}, relu]
"""


@pytest.mark.parametrize("like", ["module.conv1", "module.bias", "self.conv1.weight"])
def test_a_weight_is_assigned_what_is_like_it(like: str) -> None:
    normed = loads(NORMED)
    assert "torch.empty_like(module.weight)" in normed.code
    assert refusal(normed, normed.code.replace("empty_like(module.weight)", f"empty_like({like})"))
