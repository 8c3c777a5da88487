"""Odd numbers: refused in a sentence, or made as torch makes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from torch import nn

import archspec
from archspec.cli.app import app
from archspec.text.faults import SpecError

SPEC = (
    "spec: 1\nname: net\ninput: [4, 8, 8]\nbody: [{conv: {out: 4, kernel: 8, bias: false}}, %s]\n"
)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("sub: 18446744073709551616", "it takes a number, below 2^63 if it is whole"),
        ("elu: -9223372036854775808", "it takes a number, below 2^63 if it is whole"),
        ("celu: 1e-45", "`alpha` of `celu` is 1e-45; it takes a number of at least 3e-39"),
    ],
)
def test_a_number_that_torch_cannot_take_is_refused(item: str, said: str) -> None:
    with pytest.raises(SpecError, match="E210") as caught:
        archspec.loads(SPEC % f"{{{item}}}")
    assert said in str(caught.value)


@pytest.mark.parametrize("item", ["elu: 9223372036854775807", "celu: 3e-39", "sub: 1e19"])
def test_the_last_that_it_takes_runs(item: str) -> None:
    assert archspec.build(archspec.loads(SPEC % f"{{{item}}}"))


def test_zero_has_one_value_with_either_sign() -> None:
    text = (
        SPEC % "{pad: {amounts: 1, value: -0.0}}, {flatten: 1}, {rnn: {hidden: 2, dropout: -0.0}}"
    )
    model = archspec.build(archspec.loads(text.replace("kernel: 8", "kernel: 1")))
    assert isinstance(model.pad1, nn.ZeroPad2d)
    assert model.rnn1.dropout == 0.0


@pytest.mark.parametrize(("frozen", "said"), [("", True), (", freeze: true", False)])
def test_the_least_batch_of_training_is_said(frozen: str, said: bool, tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(SPEC % f"{{batch_norm: {frozen}}}")
    found = CliRunner().invoke(app, ["summary", str(file)]).output
    told = (
        "in training at least 2; of one sample alone `batch_norm1` has one value for each channel"
    )
    assert (told in found) is said


@pytest.mark.parametrize("what", ["parameter: [1048576, 1048576]", "constant: {eye: 1048576}"])
def test_what_no_memory_holds_is_no_defect_of_archspec(what: str) -> None:
    wide = (
        f"spec: 1\nname: n\ninput: [4, 1048576]\nbody: [{{id: p, {what}}}, {{matmul: [input, p]}}]"
    )
    with pytest.raises(archspec.BuildError) as caught:
        archspec.build(archspec.loads(wide))
    assert "its weights take 4096 GiB, more than is free here" in str(caught.value)
