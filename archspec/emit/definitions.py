"""Name → the source of a small module that torch.nn does not have.

It is written into the emitted file where it is used. A definition may use `torch`, `nn`,
`Tensor` and other definitions above it.
"""

from __future__ import annotations

MAKE_DIVISIBLE = '''\
def make_divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, not under 90 % of the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
'''

_SAME_PADDING = '''\
def same_padding(size: int, reach: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis for an output of ceil(size / stride), as in TensorFlow."""
    total = reach - (size - 1) % stride
    if reach < stride - 1:
        total = max(total, 0)
    return total // 2, total - total // 2
'''

_BILINEAR = '''\
def bilinear_(weight: Tensor) -> None:
    """Fills a transposed convolution: it interpolates each channel (Long et al. 2015)."""
    kernel = weight.new_ones(())
    for size in weight.shape[2:]:
        reach = (size + 1) // 2
        place = torch.arange(size, device=weight.device) - (reach - 1 if size % 2 else reach - 0.5)
        kernel = kernel[..., None] * (1 - place.abs() / reach)
    weight.data.zero_()
    for c in range(weight.shape[0]):
        weight.data[c, c % weight.shape[1]] = kernel
'''

_CONV_SAME = '''\
class Conv{n}dSame(nn.Conv{n}d):
    """A convolution with output size ceil(input / stride), as in TensorFlow."""

    def forward(self, x: Tensor) -> Tensor:
        pad: list[int] = []
        for axis in range({last}, -1, -1):
            reach = self.dilation[axis] * (self.kernel_size[axis] - 1)
            pad += same_padding(x.shape[axis + 2], reach, self.stride[axis])
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return super().forward(nn.functional.pad(x, pad, mode))
'''

_CONV_CAUSAL = '''\
class Conv1dCausal(nn.Conv1d):
    """A convolution in time that sees a step and what comes before it."""

    def forward(self, x: Tensor) -> Tensor:
        reach = self.dilation[0] * (self.kernel_size[0] - 1)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return super().forward(nn.functional.pad(x, [reach, 0], mode))
'''

_TRANSPOSE_SAME = '''\
class ConvTranspose{n}dSame(nn.ConvTranspose{n}d):
    """A transposed convolution with output size input * stride, as in TensorFlow."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        out = super().forward(x, output_size)
        for axis in range({n}):
            out = out.narrow(axis + 2, 0, x.shape[axis + 2] * self.stride[axis])
        return out
'''

_POOL_SAME = '''\
class {name}Pool{n}dSame(nn.{name}Pool{n}d):
    """A pool with output size ceil(input / stride); only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
        pad: list[int] = []
        for axis in range({last}, -1, -1):
            kernel, stride{more} = (
                {each}
            )
            pad += same_padding(x.shape[axis + 2], {reach}, stride)
{result}
'''

_POOL_CAUSAL = '''\
class {name}Pool1dCausal(nn.{name}Pool1d):
    """A pool in time over a step and what comes before it; only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
{before}
        pad = [{reach}, 0]
{result}
'''

_MAX_EACH = """\
v if isinstance(v, int) else v[axis]
                for v in (self.kernel_size, self.stride, self.dilation)"""

_AVG_EACH = """\
v if isinstance(v, int) else v[axis] for v in (self.kernel_size, self.stride)"""

_MAX_BEFORE = """\
        kernel, dilation = (
            v if isinstance(v, int) else v[0] for v in (self.kernel_size, self.dilation)
        )"""

_AVG_BEFORE = """\
        kernel = self.kernel_size if isinstance(self.kernel_size, int) else self.kernel_size[0]"""

_MAX_RESULT = """\
        out: Tensor = super().forward(nn.functional.pad(x, pad, value=float("-inf")))
        return out"""

_AVG_RESULT = """\
        cells = nn.functional.pad(torch.ones_like(x[:1, :1]), pad)
        return super().forward(nn.functional.pad(x, pad)) / super().forward(cells)"""

_GLOBAL = '''\
class Global{name}Pool{n}d(nn.Adaptive{name}Pool{n}d):
    """The {what} of each channel over all of space: [N, C, {axes}] -> [N, C]."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x).flatten(1)
        return out
'''

_CHANNEL_NORM = '''\
class Channel{name}(nn.{name}):
    """{name} over the channels of [N, C, ...]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
'''

_ABS = '''\
class Abs(nn.Module):
    """The absolute value."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()
'''

_MAXOUT = '''\
class Maxout(nn.Module):
    """The largest of every `pieces` neighbours along an axis."""

    def __init__(self, pieces: int, dim: int = 1) -> None:
        super().__init__()
        self.pieces = pieces
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.unflatten(x, self.dim, (-1, self.pieces))
        return parts.amax(self.dim if self.dim < 0 else self.dim + 1)
'''

_SCALE = '''\
class Scale(nn.Module):
    """The input times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor
'''

_RESHAPE = '''\
class Reshape(nn.Module):
    """The same elements in another shape; the batch axis stays."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)
'''

_PERMUTE = '''\
class Permute(nn.Module):
    """The axes in another order."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)
'''

_SELECT = '''\
class Select(nn.Module):
    """One place along an axis, which goes."""

    def __init__(self, dim: int, index: int) -> None:
        super().__init__()
        self.dim = dim
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        return x.select(self.dim, self.index)
'''

_SLICE = '''\
class Slice(nn.Module):
    """The cells from `start` to before `stop` along an axis."""

    def __init__(
        self, dim: int, start: int | None = None, stop: int | None = None, step: int = 1
    ) -> None:
        super().__init__()
        self.index = (*(slice(None) for _ in range(dim)), slice(start, stop, step))

    def forward(self, x: Tensor) -> Tensor:
        return x[self.index]
'''

_PAD = '''\
class Pad(nn.Module):
    """Cells of one value around the last axes: before and after each, the last axis first."""

    def __init__(self, amounts: tuple[int, ...], value: float = 0.0) -> None:
        super().__init__()
        self.amounts = list(amounts)
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x, self.amounts, value=self.value)
'''

_CENTER_CROP = '''\
class CenterCrop(nn.Module):
    """A window of a given size in the middle of space."""

    def __init__(self, *size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        for dim, size in enumerate(self.size, 2):
            x = x.narrow(dim, (x.shape[dim] - size) // 2, size)
        return x
'''

_CROP_LIKE = '''\
class CropLike(nn.Module):
    """The middle of space, as large as another map."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        for dim in range(2, 2 + self.axes):
            x = x.narrow(dim, (x.shape[dim] - like.shape[dim]) // 2, like.shape[dim])
        return x
'''

_CROP_AT = '''\
class CropAt(nn.Module):
    """A window of space from a given cell on, as large as another map."""

    def __init__(self, *offset: int) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        for dim, start in enumerate(self.offset, 2):
            x = x.narrow(dim, start, like.shape[dim])
        return x
'''

_CROP = '''\
class Crop(nn.Module):
    """A window of space at a given place."""

    def __init__(self, offset: tuple[int, ...], size: tuple[int, ...]) -> None:
        super().__init__()
        self.offset = offset
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        for axis, size in enumerate(self.size):
            x = x.narrow(axis + 2, self.offset[axis], size)
        return x
'''

_ROLL = '''\
class Roll(nn.Module):
    """Cells moved around the end of an axis to its start."""

    def __init__(self, shifts: int | tuple[int, ...], dims: int | tuple[int, ...]) -> None:
        super().__init__()
        self.shifts = shifts
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.roll(self.shifts, self.dims)
'''

_SELF_ATTENTION = '''\
class SelfAttention(nn.MultiheadAttention):
    """Attention of a sequence [N, T, D] to itself."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x, x, x, need_weights=False)[0]
'''

_CAUSAL_SELF_ATTENTION = '''\
class CausalSelfAttention(nn.MultiheadAttention):
    """Attention of a sequence [N, T, D] to itself, each place to what comes before it."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        out, _ = super().forward(x, x, x, need_weights=False, attn_mask=hidden, is_causal=True)
        return out
'''

_DROP_PATH = '''\
class DropPath(nn.Dropout):
    """Stochastic depth: in training the path of a sample is zero with probability p."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1.0 - self.p
        mask = x.new_empty(x.shape[0]).bernoulli_(keep) / (keep or 1.0)
        return (x.movedim(0, -1) * mask).movedim(-1, 0)
'''

_GAUSSIAN_NOISE = '''\
class GaussianNoise(nn.Module):
    """Normal noise, added in training."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training else x
'''

_SAMPLE_NORMAL = '''\
class SampleNormal(nn.Module):
    """A draw from a normal distribution; in evaluation its mean."""

    def forward(self, mean: Tensor, log_var: Tensor) -> Tensor:
        if not self.training:
            return mean
        return mean + (0.5 * log_var).exp() * torch.randn_like(mean)
'''

_SINE_POSITIONS = '''\
class SinePositions(nn.Module):
    """Sines and cosines of the position, added to [N, T, D] (Vaswani et al. 2017)."""

    def forward(self, x: Tensor) -> Tensor:
        steps, size = x.shape[1], x.shape[2]
        place = torch.arange(steps, dtype=torch.float32, device=x.device)
        rate = torch.arange(0, size, 2, dtype=torch.float32, device=x.device) / size
        angle = place[:, None] / torch.pow(10000.0, rate)
        code = torch.stack([angle.sin(), angle.cos()], 2).flatten(1)
        return x + code.to(x.dtype)
'''

_ANCHOR_BOXES = '''\
class AnchorBoxes(nn.Module):
    """The K best boxes of a map [N, K, 4], and their scores [N, K] (Ren et al. 2015).

    Anchors of area size² stand at every cell, one for each ratio height / width. A score of 0
    means that there is no box.
    """

    def __init__(
        self, size: float, ratios: tuple[float, ...] = (0.5, 1.0, 2.0), top: int = 1000
    ) -> None:
        super().__init__()
        sides = [(size / math.sqrt(r) / 2, size * math.sqrt(r) / 2) for r in ratios]
        self.shapes = [(round(-w), round(-h), round(w), round(h)) for w, h in sides]
        self.top = top

    def anchors(self, objectness: Tensor, image: Tensor) -> Tensor:
        """Left, top, right and bottom of each: [cells * ratios, 4]."""
        height, width = objectness.shape[2:]
        x = torch.arange(width, device=image.device) * (image.shape[3] // width)
        y = torch.arange(height, device=image.device) * (image.shape[2] // height)
        cell = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], 2)
        corners = torch.cat([cell, cell], 2)[:, :, None]
        return (corners + objectness.new_tensor(self.shapes)).flatten(0, 2)

    def forward(self, objectness: Tensor, deltas: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = objectness.detach().permute(0, 2, 3, 1).flatten(1)
        logits, index = logits.topk(min(self.top, logits.shape[1]))
        codes = torch.unflatten(deltas.detach(), 1, (-1, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3)
        move, grow = torch.split(codes.gather(1, index[:, :, None].expand(-1, -1, 4)), 2, 2)
        low, high = torch.split(self.anchors(objectness, image)[index], 2, 2)
        size = high - low
        center = move * size + (low + 0.5 * size)
        half = 0.5 * (grow.clamp(max=math.log(1000 / 16)).exp() * size)
        edge = center.new_tensor([image.shape[3], image.shape[2]])
        low, high = (c.clamp(min=0).minimum(edge) for c in (center - half, center + half))
        seen = (high - low >= 1e-3).all(2)
        return torch.cat([low, high], 2), logits.sigmoid() * seen
'''

_NMS = '''\
class Nms(nn.Module):
    """Boxes [N, K, 4] and scores [N, K]; a box that overlaps a better one becomes 0."""

    def __init__(self, iou: float = 0.5) -> None:
        super().__init__()
        self.iou = iou

    def forward(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        kept = scores.new_zeros(scores.shape)
        for n in range(scores.shape[0]):
            kept[n, nms(boxes[n], scores[n], self.iou)] = 1
        return boxes * kept[:, :, None], scores * kept
'''

_TOP_K = '''\
class TopK(nn.Module):
    """The rows of [N, K, D] with the largest scores [N, K], best first."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        scores, index = scores.topk(min(self.k, scores.shape[1]))
        return x[torch.arange(x.shape[0], device=x.device)[:, None], index], scores
'''

_ROI_ALIGN = '''\
class RoiAlign(nn.Module):
    """Boxes [N, K, 4] cut out of maps [N, C, H, W]: [N, K, C, size, size].

    A box of 224 x 224 cells of the image is for the map of stride 16, one of half the sides for
    stride 8 (Lin et al. 2017, equation 1).
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        strides: tuple[int, ...] = (1,),
        sampling_ratio: int = -1,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.strides = strides
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, boxes: Tensor, *maps: Tensor) -> Tensor:
        samples = torch.arange(boxes.shape[0], device=boxes.device).to(boxes.dtype)
        rois = torch.cat([samples[:, None, None].expand(-1, boxes.shape[1], 1), boxes], 2)
        rois = rois.flatten(0, 1)
        parts = [
            roi_align(x, rois, self.size, 1 / stride, self.sampling_ratio, self.aligned)
            for x, stride in zip(maps, self.strides, strict=True)
        ]
        if len(parts) > 1:
            area = (rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])
            level = (4 + (area.sqrt() / 224).log2() + 1e-6).floor()
            first = math.log2(self.strides[0])
            level = (level.clamp(first, first + len(parts) - 1) - first)[:, None, None, None]
            parts = [part.where(level == k, part.new_zeros(())) for k, part in enumerate(parts)]
        return torch.unflatten(sum(parts[1:], parts[0]), 0, boxes.shape[:2])
'''


def _pools() -> dict[str, str]:
    found = {}
    for name, result in (("Max", _MAX_RESULT), ("Avg", _AVG_RESULT)):
        dilated = name == "Max"
        parts = {
            "name": name,
            "result": result,
            "more": ", dilation" if dilated else "",
            "each": _MAX_EACH if dilated else _AVG_EACH,
            "reach": "dilation * (kernel - 1)" if dilated else "kernel - 1",
        }
        for n in (1, 2, 3):
            found[f"{name}Pool{n}dSame"] = _POOL_SAME.format(n=n, last=n - 1, **parts)
        before = _MAX_BEFORE if dilated else _AVG_BEFORE
        found[f"{name}Pool1dCausal"] = _POOL_CAUSAL.format(before=before, **parts)
    return found


def _globals() -> dict[str, str]:
    axes = {1: "L", 2: "H, W", 3: "D, H, W"}
    return {
        f"Global{name}Pool{n}d": _GLOBAL.format(name=name, n=n, what=what, axes=axes[n])
        for name, what in (("Avg", "mean"), ("Max", "maximum"))
        for n in (1, 2, 3)
    }


DEFINITIONS: dict[str, str] = {
    "same_padding": _SAME_PADDING,
    "bilinear_": _BILINEAR,
    **{f"Conv{n}dSame": _CONV_SAME.format(n=n, last=n - 1) for n in (1, 2, 3)},
    "Conv1dCausal": _CONV_CAUSAL,
    **{f"ConvTranspose{n}dSame": _TRANSPOSE_SAME.format(n=n) for n in (1, 2, 3)},
    **_pools(),
    **_globals(),
    **{f"Channel{name}": _CHANNEL_NORM.format(name=name) for name in ("LayerNorm", "RMSNorm")},
    "Abs": _ABS,
    "Maxout": _MAXOUT,
    "Scale": _SCALE,
    "Reshape": _RESHAPE,
    "Permute": _PERMUTE,
    "Select": _SELECT,
    "Slice": _SLICE,
    "Pad": _PAD,
    "CenterCrop": _CENTER_CROP,
    "CropLike": _CROP_LIKE,
    "CropAt": _CROP_AT,
    "Crop": _CROP,
    "Roll": _ROLL,
    "SelfAttention": _SELF_ATTENTION,
    "CausalSelfAttention": _CAUSAL_SELF_ATTENTION,
    "DropPath": _DROP_PATH,
    "GaussianNoise": _GAUSSIAN_NOISE,
    "SampleNormal": _SAMPLE_NORMAL,
    "SinePositions": _SINE_POSITIONS,
    "AnchorBoxes": _ANCHOR_BOXES,
    "Nms": _NMS,
    "TopK": _TOP_K,
    "RoiAlign": _ROI_ALIGN,
}

# What stands, or may stand, above the classes of a spec: none of them is called so.
HEAD = frozenset({*DEFINITIONS, "Tensor", "OrderedDict"})

# What a definition takes from torchvision.ops.
TORCHVISION = {"Nms": "nms", "RoiAlign": "roi_align"}
