"""What `init` says of a weight can be done: else the module would fail where it is made."""

from __future__ import annotations

import pytest

from archspec.network import loads
from archspec.text.faults import SpecError

LINEAR = ("[8]", "linear: 4", "linear")
CONV = ("[4, 8, 8]", "conv: {out: 8, kernel: 3}", "conv")


def spec(op: tuple[str, str, str], filler: str) -> str:
    given, item, name = op
    init = f"init: {{{name}: {{weight: {filler}}}}}"
    return f"spec: 1\nname: n\ninput: {given}\n{init}\nbody: [{{{item}}}]\n"


@pytest.mark.parametrize(
    ("op", "filler", "sentence"),
    [
        (LINEAR, "dirac", "`dirac` fills 3 to 5 axes; `weight` has the shape [4, 8]"),
        (CONV, "eye", "`eye` fills 2 axes; `weight` has the shape [8, 4, 3, 3]"),
        (CONV, "{sparse: {sparsity: 0.5}}",
         "`sparse` fills 2 axes; `weight` has the shape [8, 4, 3, 3]"),
        (LINEAR, "{sparse: {sparsity: 2}}", "`sparsity` of `sparse` is 2; it is from 0 to 1"),
        (CONV, "{dirac: {groups: 3}}", "`groups` of `dirac` is 3; it divides 8 channels"),
        (CONV, "{dirac: {groups: 0}}",
         "`groups` of `dirac` is 0; it takes a whole number of at least 1"),
        (CONV, "{uniform: {a: 1, b: -1}}", "`a` of `uniform` is 1, above its `b`, -1"),
        (LINEAR, "{uniform: {b: -1}}", "`a` of `uniform` is 0.0, above its `b`, -1"),
        (CONV, "{trunc_normal: {a: 3, b: -3}}",
         "`a` of `trunc_normal` is 3; it is below its `b`, -3"),
        (LINEAR, "{trunc_normal: {std: 0}}", "`std` of `trunc_normal` is 0; it is above 0"),
        (CONV, "{xavier_normal: {gain: -1}}", "`gain` of `xavier_normal` is -1; it is at least 0"),
        (LINEAR, "{constant: 1.0e39}",
         "`val` of `constant` is 1e+39, more than a weight can hold"),
        (CONV, "{normal: {std: 1.0e39}}",
         "`std` of `normal` is 1e+39, more than a weight can hold"),
        (CONV, "{kaiming_normal: {a: 1.0e200}}",
         "`a` of `kaiming_normal` is 1e+200, more than a weight can hold"),
    ],
)  # fmt: skip
def test_what_cannot_be_filled_is_refused(
    op: tuple[str, str, str], filler: str, sentence: str
) -> None:
    with pytest.raises(SpecError) as caught:
        loads(spec(op, filler))
    (fault,) = caught.value.faults
    assert (fault.code, fault.message) == ("E221", sentence)


@pytest.mark.parametrize(
    ("op", "filler"),
    [(LINEAR, "eye"), (LINEAR, "{sparse: {sparsity: 0.5}}"), (CONV, "dirac"),
     (CONV, "{dirac: {groups: 4}}"), (LINEAR, "orthogonal"), (CONV, "{uniform: {a: -1, b: 1}}")],
)  # fmt: skip
def test_what_can_be_is_made(op: tuple[str, str, str], filler: str) -> None:
    torch = pytest.importorskip("torch")
    from archspec import build

    module = build(loads(spec(op, filler)))
    assert all(torch.isfinite(weight).all() for weight in module.parameters())
