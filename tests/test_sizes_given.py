"""Sizes given from outside that a network refuses: one complaint, with the sizes that it takes."""

from __future__ import annotations

import pytest

from archspec.network import load, loads
from archspec.text.faults import SpecError


def complaint(name: str, *shape: int) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load(name, inputs={"input": shape})
    return caught.value


def help_of(name: str, *shape: int) -> str:
    (fault,) = complaint(name, *shape).faults
    return fault.help


def test_a_size_between_multiples() -> None:
    help = "H, W: multiples of 16, at least 16; 570 is none of them: 560 or 576"
    assert help_of("unet", 1, 570, 570) == help
    assert help_of("unet", 1, 576, 570) == help  # H is accepted, and stays


def test_axes_that_are_refused_for_different_sizes() -> None:
    assert help_of("unet", 1, 571, 8) == (
        "H, W: multiples of 16, at least 16; 571 is none of them: 576\n"
        "H, W: multiples of 16, at least 16; 8 is none of them: 16"
    )


def test_a_size_below_the_least() -> None:
    assert help_of("vgg16", 3, 20, 20) == "H, W: any size, at least 32; 20 is too small: 32"
    assert help_of("lenet5", 1, 3, 3) == "H, W: 32 to 35; 3 is too small: 32"


def test_channels_that_stand_last() -> None:
    assert help_of("vit_b_16", 224, 224, 3) == "channels come first: [3, 224, 224]"
    assert help_of("lenet5", 32, 32, 1) == "channels come first: [1, 32, 32]"
    assert help_of("lenet5", 28, 28, 1) == "channels come first: [1, 28, 28]"  # then its size
    assert help_of("unet", 64, 64, 1) == "channels come first: [1, 64, 64]"


def test_an_axis_too_few_or_too_many() -> None:
    assert help_of("lenet5", 28, 28) == "all of them are given, the channels first: [1, 28, 28]"
    assert help_of("lenet5", 28) == "all of them are given, as in the file"
    assert help_of("lenet5", 1, 1, 28, 28) == "the batch axis is never written"


def test_paths_that_refuse_one_size_are_one_complaint() -> None:
    error = complaint("inception_v3", 3, 74, 74)
    (fault,) = error.faults
    assert (fault.code, fault.help) == ("E304", "H, W: any size, at least 75; 74 is too small: 75")
    assert "AuxHead" not in str(error)


def test_what_is_there_in_training_only_refuses_no_size() -> None:
    program = load("inception_v3", inputs={"input": [3, 75, 75]})
    (warning,) = program.graph.warnings
    assert warning.code == "W112"
    assert warning.message == (
        "at these sizes the network cannot be trained: "
        "`avg_pool` covers 5 cells along H, the input [768, 3, 3] has 3 cells"
    )
    assert [node.path for node in program.graph.steps if node.training] == []
    whole = load("inception_v3")
    assert program.analysis.totals.params == load("inception_v3", aux=False).analysis.totals.params
    assert whole.graph.warnings == ()


HEADS = """
spec: 1
input: [3, 32, 32]
body:
  - {id: c, conv: {out: 4, kernel: 3}}
  - {id: p, from: c, avg_pool: 8}
  - {id: aux, tap: train, from: p, body: [{avg_pool: 3}, flatten]}
  - {from: c, global_avg_pool: }
  - {id: fc, linear: 10}
outputs: {out: fc, aux: aux}
"""


def test_what_only_a_head_for_training_needs_is_left_out_with_it() -> None:
    with pytest.raises(SpecError) as caught:  # what stands before the head is there always
        loads(HEADS, inputs={"input": [3, 8, 8]})
    assert [fault.code for fault in caught.value.faults] == ["E304"]
    program = loads(HEADS, inputs={"input": [3, 18, 18]})
    assert [w.code for w in program.graph.warnings] == ["W112"]
    assert [node.path for node in program.graph.steps] == ["input", "c", "global_avg_pool1", "fc"]


def test_a_file_at_fault_hears_no_sizes() -> None:
    wrong = HEADS.replace("[3, 32, 32]", "[3, 8, 8]")
    with pytest.raises(SpecError, match="pad the input, use a smaller kernel"):
        loads(wrong, inputs={"input": [3, 9, 9]})


def test_maps_that_differ_by_a_cell_are_cropped_or_resized() -> None:
    text = """
spec: 1
input: [1, 9, 9]
body:
  - {id: skip, conv: {out: 2, kernel: 3, padding: 1}}
  - max_pool: 2
  - {id: up, conv_transpose: {out: 2, kernel: 2, stride: 2}}
  - concat: [skip, up]
"""
    with pytest.raises(SpecError) as caught:
        loads(text)
    (fault,) = caught.value.faults
    crop = "{id: same, crop: center, from: [skip, up]}"
    upsample = "{id: same, upsample: , from: [up, skip]}"
    assert fault.help == (
        f"give both one size and take that: `{crop}`,\nor `{upsample}`; "
        "or choose an input that the strides divide"
    )
    for remedy, join in ((crop, "[same, up]"), (upsample, "[skip, same]")):
        mended = text.replace("concat: [skip, up]", f"{remedy}\n  - concat: {join}")
        assert loads(mended).graph.outputs


def test_the_module_runs_in_evaluation() -> None:
    torch = pytest.importorskip("torch")
    from archspec.module import build

    model = build(loads(HEADS, inputs={"input": [3, 18, 18]}))
    assert model.eval()(torch.ones(1, 3, 18, 18)).shape == (1, 10)


def test_a_window_that_does_not_divide_the_map() -> None:
    text = "spec: 1\nname: net\ninput: {image: [3, 32, 32]}\nbody: [{pixel_unshuffle: 4}]"
    with pytest.raises(SpecError) as caught:
        loads(text, inputs={"image": (3, 30, 32)})
    (fault,) = caught.value.faults
    assert fault.help == "H, W: multiples of 4, at least 4; 30 is none of them: 28 or 32"


def test_a_largest_size_of_a_module_is_none_of_the_spec() -> None:
    """Swin's spec takes 448, the module that is made at 224 does not: neither is told of 256."""
    assert load("swin_t", inputs={"input": (3, 448, 448)}).analysis.totals.params == 28_288_354
    assert "too large" not in help_of("swin_t", 3, 256, 256)
    assert help_of("vit_b_16", 3, 384, 384) == "H, W: 224 to 239; 384 is too large: 239"


def test_a_shape_without_a_name_is_of_the_only_input() -> None:
    program = load("retinanet", inputs={"input": (3, 320, 256)})
    assert program.choice.inputs == {"image": (3, 320, 256)}
    with pytest.raises(SpecError, match="has no input `input`"):
        load("siamese", inputs={"input": (1, 105, 105)})
