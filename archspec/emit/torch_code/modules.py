"""Modules and functions that torch.nn lacks."""

import math

import torch
from torch import Tensor, nn


def make_divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, not under 90 % of the value."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def same_padding(size: int, reach: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis for an output of ceil(size / stride), as in TensorFlow."""
    total = reach - (size - 1) % stride
    if reach < stride - 1:
        total = max(total, 0)
    return total // 2, total - total // 2


def same_sides(windows: list[tuple[int, int, int]]) -> list[int]:
    """Zeros on both sides of each axis for that, where they are as many at every size; else none.

    A window is the kernel, stride and dilation along an axis.
    """
    sides: list[int] = []
    for kernel, stride, dilation in windows:
        reach = dilation * (kernel - 1)
        if kernel > 1 and (stride > 1 or reach % 2):
            return []
        sides += [reach // 2]
    return sides


def bilinear_(weight: Tensor) -> Tensor:
    """Fills a transposed convolution: it interpolates each channel (Long et al. 2015)."""
    kernel = weight.new_ones(())
    for size in weight.shape[2:]:
        reach = (size + 1) // 2
        place = torch.arange(size, device=weight.device) - (reach - 1 if size % 2 else reach - 0.5)
        kernel = kernel[..., None] * (1 - place.abs() / reach)
    weight.data.zero_()
    for c in range(weight.shape[0]):
        weight.data[c, c % weight.shape[1]] = kernel
    return weight


def values_(weight: Tensor, values: Tensor) -> Tensor:
    """Fills a weight with numbers: all of it, or what is the same for all channels."""
    weight.data.copy_(values)
    return weight


def causal_mask(size: int, window: int | None = None) -> Tensor:
    """For each place of a sequence, true at those after it, and before the `window` up to it."""
    every = torch.ones(size, size, dtype=torch.bool)
    return every.triu(1) if window is None else every.triu(1) | every.tril(-window)


def local_mask(size: int, window: int) -> Tensor:
    """For each place of a sequence, true at those more than half a window away."""
    every = torch.ones(size, size, dtype=torch.bool)
    return every.triu(window // 2 + 1) | every.tril(-(window // 2) - 1)


def log_steps(window: tuple[int, ...]) -> Tensor:
    """Each step inside of a window on a logarithmic scale: [1, 2h-1, 2w-1, 2] (Liu et al. 2022)."""
    axes = (torch.arange(1.0 - size, size) / (size - 1) for size in window)
    steps = 8 * torch.cartesian_prod(*axes).view(1, *(2 * size - 1 for size in window), -1)
    return steps.sign() * (steps.abs() + 1).log2() / 3


def relative_positions(window: tuple[int, ...], flat: bool = False) -> Tensor:
    """For each two places of a window the number of the step between them (Liu et al. 2021)."""
    places = torch.cartesian_prod(*(torch.arange(size) for size in window)).view(-1, len(window))
    index = torch.zeros(len(places), len(places), dtype=torch.long)
    for place, size in zip(places.T, window, strict=True):
        index = index * (2 * size - 1) + place[:, None] - place + size - 1
    return index.flatten() if flat else index


def by_steps(table: Tensor, index: Tensor) -> Tensor:
    """Of a table [..., steps, heads] the row of each two places: [..., heads, T, T]."""
    rows = table.index_select(-2, index.flatten().to(table.device))
    places = math.isqrt(index.numel())
    return torch.unflatten(rows, -2, (places, places)).movedim(-1, -3)


def shift_mask(x: Tensor, window: tuple[int, ...], shift: tuple[int, ...], value: float) -> Tensor:
    """0 for cells of a window that were neighbours before the map was rolled, else a value.

    `x` is [..., H, W, C]; the result [windows, 1, cells, cells] is for scores of all heads.
    """
    region = torch.zeros(1, 1, dtype=torch.long, device=x.device)
    for axis, (size, step) in enumerate(zip(window, shift, strict=True), -1 - len(window)):
        place = torch.arange(x.shape[axis], device=x.device) - x.shape[axis]
        strip = (place >= -size).long() + (place >= -step) if step else torch.zeros_like(place)
        region = (3 * region)[:, None, :, None] + strip.view(1, -1, 1, size)
        region = region.flatten(2).flatten(0, 1)
    apart = region[:, None, :, None] != region[:, None, None]
    return torch.zeros_like(apart, dtype=x.dtype).masked_fill(apart, value)


class Conv1dSame(nn.Conv1d):
    """A convolution with output size ceil(input / stride), as in TensorFlow."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        windows = list(zip(self.kernel_size, self.stride, self.dilation, strict=True))
        sides = same_sides(windows) if self.padding_mode == "zeros" else []
        if not sides:
            pad: list[int] = []
            for axis in range(0, -1, -1):
                kernel, stride, dilation = windows[axis]
                pad += same_padding(input.shape[axis + 2], dilation * (kernel - 1), stride)
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            input = nn.functional.pad(input, pad, mode)
        return nn.functional.conv1d(
            input, weight, bias, self.stride, sides or 0, self.dilation, self.groups
        )


class Conv2dSame(nn.Conv2d):
    """A convolution with output size ceil(input / stride), as in TensorFlow."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        windows = list(zip(self.kernel_size, self.stride, self.dilation, strict=True))
        sides = same_sides(windows) if self.padding_mode == "zeros" else []
        if not sides:
            pad: list[int] = []
            for axis in range(1, -1, -1):
                kernel, stride, dilation = windows[axis]
                pad += same_padding(input.shape[axis + 2], dilation * (kernel - 1), stride)
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            input = nn.functional.pad(input, pad, mode)
        return nn.functional.conv2d(
            input, weight, bias, self.stride, sides or 0, self.dilation, self.groups
        )


class Conv3dSame(nn.Conv3d):
    """A convolution with output size ceil(input / stride), as in TensorFlow."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        windows = list(zip(self.kernel_size, self.stride, self.dilation, strict=True))
        sides = same_sides(windows) if self.padding_mode == "zeros" else []
        if not sides:
            pad: list[int] = []
            for axis in range(2, -1, -1):
                kernel, stride, dilation = windows[axis]
                pad += same_padding(input.shape[axis + 2], dilation * (kernel - 1), stride)
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            input = nn.functional.pad(input, pad, mode)
        return nn.functional.conv3d(
            input, weight, bias, self.stride, sides or 0, self.dilation, self.groups
        )


def standardised(weight: Tensor) -> Tensor:
    """Each filter with mean 0 and variance 1 (Qiao et al. 2019)."""
    filters = weight.reshape(1, weight.shape[0], -1)
    filters = nn.functional.batch_norm(filters, None, None, training=True, eps=1e-6)
    return filters.reshape(weight.shape)


def scaled_filters(weight: Tensor, gain: Tensor) -> Tensor:
    """Each filter with mean 0 and variance 1 / inputs, times a gain (Brock et al. 2021)."""
    filters = weight.reshape(1, weight.shape[0], -1)
    gain = gain.flatten() * filters.shape[2] ** -0.5
    filters = nn.functional.batch_norm(filters, None, None, gain, training=True, eps=1e-5)
    return filters.reshape(weight.shape)


class Conv1dStandard(nn.Conv1d):
    """A convolution with standardised weights."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        out: Tensor = super()._conv_forward(input, standardised(weight), bias)
        return out


class Conv2dStandard(nn.Conv2d):
    """A convolution with standardised weights."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        out: Tensor = super()._conv_forward(input, standardised(weight), bias)
        return out


class Conv3dStandard(nn.Conv3d):
    """A convolution with standardised weights."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        out: Tensor = super()._conv_forward(input, standardised(weight), bias)
        return out


class Conv1dScaled(nn.Conv1d):
    """A convolution whose filters keep the variance, each times what is learned."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if not hasattr(self, "gain"):
            self.gain = nn.Parameter(torch.empty(self.out_channels, 1, 1))
        nn.init.ones_(self.gain)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        out: Tensor = super()._conv_forward(input, scaled_filters(weight, self.gain), bias)
        return out


class Conv2dScaled(nn.Conv2d):
    """A convolution whose filters keep the variance, each times what is learned."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if not hasattr(self, "gain"):
            self.gain = nn.Parameter(torch.empty(self.out_channels, 1, 1, 1))
        nn.init.ones_(self.gain)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        out: Tensor = super()._conv_forward(input, scaled_filters(weight, self.gain), bias)
        return out


class Conv3dScaled(nn.Conv3d):
    """A convolution whose filters keep the variance, each times what is learned."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if not hasattr(self, "gain"):
            self.gain = nn.Parameter(torch.empty(self.out_channels, 1, 1, 1, 1))
        nn.init.ones_(self.gain)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        out: Tensor = super()._conv_forward(input, scaled_filters(weight, self.gain), bias)
        return out


class Conv1dCausal(nn.Conv1d):
    """A convolution in time that sees a step and what comes before it."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        reach = self.dilation[0] * (self.kernel_size[0] - 1)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        input = nn.functional.pad(input, [reach, 0], mode)
        return nn.functional.conv1d(input, weight, bias, self.stride, 0, self.dilation, self.groups)


class Conv1dStandardSame(Conv1dStandard, Conv1dSame):
    """A convolution with standardised weights and output size ceil(input / stride)."""


class Conv2dStandardSame(Conv2dStandard, Conv2dSame):
    """A convolution with standardised weights and output size ceil(input / stride)."""


class Conv3dStandardSame(Conv3dStandard, Conv3dSame):
    """A convolution with standardised weights and output size ceil(input / stride)."""


class Conv1dStandardCausal(Conv1dStandard, Conv1dCausal):
    """A convolution in time with standardised weights."""


class Conv1dScaledSame(Conv1dScaled, Conv1dSame):
    """A convolution whose filters keep the variance, with output size ceil(input / stride)."""


class Conv2dScaledSame(Conv2dScaled, Conv2dSame):
    """A convolution whose filters keep the variance, with output size ceil(input / stride)."""


class Conv3dScaledSame(Conv3dScaled, Conv3dSame):
    """A convolution whose filters keep the variance, with output size ceil(input / stride)."""


class Conv1dScaledCausal(Conv1dScaled, Conv1dCausal):
    """A convolution in time whose filters keep the variance."""


class ConvTranspose1dSame(nn.ConvTranspose1d):
    """A transposed convolution with output size input * stride, as in TensorFlow."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        out = super().forward(x, output_size)
        for axis in range(1):
            out = out.narrow(axis + 2, 0, x.shape[axis + 2] * self.stride[axis])
        return out


class ConvTranspose2dSame(nn.ConvTranspose2d):
    """A transposed convolution with output size input * stride, as in TensorFlow."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        out = super().forward(x, output_size)
        for axis in range(2):
            out = out.narrow(axis + 2, 0, x.shape[axis + 2] * self.stride[axis])
        return out


class ConvTranspose3dSame(nn.ConvTranspose3d):
    """A transposed convolution with output size input * stride, as in TensorFlow."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        out = super().forward(x, output_size)
        for axis in range(3):
            out = out.narrow(axis + 2, 0, x.shape[axis + 2] * self.stride[axis])
        return out


class MaxPool1dSame(nn.MaxPool1d):
    """A pool with output size ceil(input / stride); only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
        given = (self.kernel_size, self.stride, self.dilation)
        windows = list(zip(*(n if isinstance(n, tuple) else (n,) for n in given), strict=True))
        sides = same_sides(windows)
        dilated = [dilation for kernel, _, dilation in windows if kernel > 1 and dilation > 1]
        if sides and not dilated:
            return nn.functional.max_pool1d(x, self.kernel_size, self.stride, sides, self.dilation)
        pad: list[int] = []
        for axis in range(0, -1, -1):
            kernel, stride, dilation = windows[axis]
            pad += same_padding(x.shape[axis + 2], dilation * (kernel - 1), stride)
        out: Tensor = super().forward(nn.functional.pad(x, pad, value=float("-inf")))
        return out


class MaxPool2dSame(nn.MaxPool2d):
    """A pool with output size ceil(input / stride); only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
        given = (self.kernel_size, self.stride, self.dilation)
        windows = list(zip(*(n if isinstance(n, tuple) else (n, n) for n in given), strict=True))
        sides = same_sides(windows)
        dilated = [dilation for kernel, _, dilation in windows if kernel > 1 and dilation > 1]
        if sides and not dilated:
            return nn.functional.max_pool2d(x, self.kernel_size, self.stride, sides, self.dilation)
        pad: list[int] = []
        for axis in range(1, -1, -1):
            kernel, stride, dilation = windows[axis]
            pad += same_padding(x.shape[axis + 2], dilation * (kernel - 1), stride)
        out: Tensor = super().forward(nn.functional.pad(x, pad, value=float("-inf")))
        return out


class MaxPool3dSame(nn.MaxPool3d):
    """A pool with output size ceil(input / stride); only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
        given = (self.kernel_size, self.stride, self.dilation)
        windows = list(zip(*(n if isinstance(n, tuple) else (n, n, n) for n in given), strict=True))
        sides = same_sides(windows)
        dilated = [dilation for kernel, _, dilation in windows if kernel > 1 and dilation > 1]
        if sides and not dilated:
            return nn.functional.max_pool3d(x, self.kernel_size, self.stride, sides, self.dilation)
        pad: list[int] = []
        for axis in range(2, -1, -1):
            kernel, stride, dilation = windows[axis]
            pad += same_padding(x.shape[axis + 2], dilation * (kernel - 1), stride)
        out: Tensor = super().forward(nn.functional.pad(x, pad, value=float("-inf")))
        return out


class MaxPool1dCausal(nn.MaxPool1d):
    """A pool in time over a step and what comes before it; only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, dilation = (
            v if isinstance(v, int) else v[0] for v in (self.kernel_size, self.dilation)
        )
        pad = [dilation * (kernel - 1), 0]
        out: Tensor = super().forward(nn.functional.pad(x, pad, value=float("-inf")))
        return out


class AvgPool1dSame(nn.AvgPool1d):
    """A pool with output size ceil(input / stride); only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
        given = (self.kernel_size, self.stride, 1)
        windows = list(zip(*(n if isinstance(n, tuple) else (n,) for n in given), strict=True))
        sides = same_sides(windows)
        if sides:
            return nn.functional.avg_pool1d(
                x, self.kernel_size, self.stride, sides, count_include_pad=False
            )
        pad: list[int] = []
        for axis in range(0, -1, -1):
            kernel, stride, _ = windows[axis]
            pad += same_padding(x.shape[axis + 2], kernel - 1, stride)
        cells = nn.functional.pad(torch.ones_like(x[:1, :1]), pad)
        return super().forward(nn.functional.pad(x, pad)) / super().forward(cells)


class AvgPool2dSame(nn.AvgPool2d):
    """A pool with output size ceil(input / stride); only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
        given = (self.kernel_size, self.stride, 1)
        windows = list(zip(*(n if isinstance(n, tuple) else (n, n) for n in given), strict=True))
        sides = same_sides(windows)
        if sides:
            return nn.functional.avg_pool2d(
                x, self.kernel_size, self.stride, sides, count_include_pad=False
            )
        pad: list[int] = []
        for axis in range(1, -1, -1):
            kernel, stride, _ = windows[axis]
            pad += same_padding(x.shape[axis + 2], kernel - 1, stride)
        cells = nn.functional.pad(torch.ones_like(x[:1, :1]), pad)
        return super().forward(nn.functional.pad(x, pad)) / super().forward(cells)


class AvgPool3dSame(nn.AvgPool3d):
    """A pool with output size ceil(input / stride); only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
        given = (self.kernel_size, self.stride, 1)
        windows = list(zip(*(n if isinstance(n, tuple) else (n, n, n) for n in given), strict=True))
        sides = same_sides(windows)
        if sides:
            return nn.functional.avg_pool3d(
                x, self.kernel_size, self.stride, sides, count_include_pad=False
            )
        pad: list[int] = []
        for axis in range(2, -1, -1):
            kernel, stride, _ = windows[axis]
            pad += same_padding(x.shape[axis + 2], kernel - 1, stride)
        cells = nn.functional.pad(torch.ones_like(x[:1, :1]), pad)
        return super().forward(nn.functional.pad(x, pad)) / super().forward(cells)


class AvgPool1dCausal(nn.AvgPool1d):
    """A pool in time over a step and what comes before it; only cells of the input count."""

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel_size if isinstance(self.kernel_size, int) else self.kernel_size[0]
        pad = [kernel - 1, 0]
        cells = nn.functional.pad(torch.ones_like(x[:1, :1]), pad)
        return super().forward(nn.functional.pad(x, pad)) / super().forward(cells)


class GlobalAvgPool1d(nn.AdaptiveAvgPool1d):
    """The mean of each channel over all of space: [N, C, L] -> [N, C]."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x).flatten(1)
        return out


class GlobalAvgPool2d(nn.AdaptiveAvgPool2d):
    """The mean of each channel over all of space: [N, C, H, W] -> [N, C]."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x).flatten(1)
        return out


class GlobalAvgPool3d(nn.AdaptiveAvgPool3d):
    """The mean of each channel over all of space: [N, C, D, H, W] -> [N, C]."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x).flatten(1)
        return out


class GlobalMaxPool1d(nn.AdaptiveMaxPool1d):
    """The maximum of each channel over all of space: [N, C, L] -> [N, C]."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x).flatten(1)
        return out


class GlobalMaxPool2d(nn.AdaptiveMaxPool2d):
    """The maximum of each channel over all of space: [N, C, H, W] -> [N, C]."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x).flatten(1)
        return out


class GlobalMaxPool3d(nn.AdaptiveMaxPool3d):
    """The maximum of each channel over all of space: [N, C, D, H, W] -> [N, C]."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x).flatten(1)
        return out


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of [N, C, ...]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ChannelRMSNorm(nn.RMSNorm):
    """RMSNorm over the channels of [N, C, ...]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Abs(nn.Module):
    """The absolute value."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


class QuickGELU(nn.Module):
    """x times the sigmoid of 1.702 x."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Exp(nn.Module):
    """e to the power of the input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.exp()


class Log(nn.Module):
    """The natural logarithm."""

    def forward(self, x: Tensor) -> Tensor:
        return x.log()


class Sqrt(nn.Module):
    """The square root."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sqrt()


class Sin(nn.Module):
    """The sine."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sin()


class Cos(nn.Module):
    """The cosine."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cos()


class Detach(nn.Module):
    """The same numbers; no gradient goes back through them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


class Pow(nn.Module):
    """The input to the power of a number."""

    def __init__(self, exponent: float) -> None:
        super().__init__()
        self.exponent = exponent

    def forward(self, x: Tensor) -> Tensor:
        return x.pow(self.exponent)


class Clamp(nn.Module):
    """The input between two limits, either of which may be missing."""

    def __init__(self, min: float | None = None, max: float | None = None) -> None:
        super().__init__()
        self.min = min
        self.max = max

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(self.min, self.max)


class Reduce(nn.Module):
    """The sum, mean, largest, smallest, variance or norm over axes."""

    def __init__(
        self,
        by: str,
        dim: int | tuple[int, ...],
        order: float = 2,
        correction: int = 1,
        keepdim: bool = False,
    ) -> None:
        super().__init__()
        self.by = by
        self.dim = dim
        self.order = order
        self.correction = correction
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        if self.by == "sum":
            return x.sum(self.dim, keepdim=self.keepdim)
        if self.by == "mean":
            return x.mean(self.dim, keepdim=self.keepdim)
        if self.by == "max":
            return x.amax(self.dim, keepdim=self.keepdim)
        if self.by == "min":
            return x.amin(self.dim, keepdim=self.keepdim)
        if self.by == "var":
            return x.var(self.dim, correction=self.correction, keepdim=self.keepdim)
        out: Tensor = torch.linalg.vector_norm(x, self.order, self.dim, self.keepdim)
        return out


class Normalize(nn.Module):
    """The input divided by its norm along an axis."""

    def __init__(self, dim: int = 1, eps: float = 1e-12, p: float = 2.0) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(x, self.p, self.dim, self.eps)


class Cumsum(nn.Module):
    """The sum of a cell and all before it along an axis."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(self.dim)


class Argmax(nn.Module):
    """The place of the largest cell along an axis."""

    def __init__(self, dim: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.argmax(self.dim, self.keepdim)


class Maxout(nn.Module):
    """The largest of every `pieces` neighbours along an axis."""

    def __init__(self, pieces: int, dim: int = 1) -> None:
        super().__init__()
        self.pieces = pieces
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.unflatten(x, self.dim, (-1, self.pieces))
        return parts.amax(self.dim if self.dim < 0 else self.dim + 1)


class LocalResponseNorm3d(nn.LocalResponseNorm):
    """Local response normalisation of volumes, however they lie in memory."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.contiguous())


class AddNumber(nn.Module):
    """The input plus a number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        return x + self.number


class SubNumber(nn.Module):
    """The input minus a number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        return x - self.number


class DivNumber(nn.Module):
    """The input divided by a number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        return x / self.number


class Scale(nn.Module):
    """The input times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Reshape(nn.Module):
    """The same elements in another shape; the batch axis stays."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)


class Permute(nn.Module):
    """The axes in another order."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


class Flip(nn.Module):
    """The cells of axes from the last to the first."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(self.dims)


class Expand(nn.Module):
    """Axes of one cell repeated; -1 where an axis stays."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(-1, *self.shape)


class OneHot(nn.Module):
    """1 at the place that a whole number says, 0 elsewhere."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot(x, self.classes).float()


class Select(nn.Module):
    """One place along an axis, which goes."""

    def __init__(self, dim: int, index: int) -> None:
        super().__init__()
        self.dim = dim
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        return x.select(self.dim, self.index)


class Slice(nn.Module):
    """The cells from `start` to before `stop` along an axis."""

    def __init__(
        self, dim: int, start: int | None = None, stop: int | None = None, step: int = 1
    ) -> None:
        super().__init__()
        self.index = (*(slice(None) for _ in range(dim)), slice(start, stop, step))

    def forward(self, x: Tensor) -> Tensor:
        return x[self.index]


class Pad(nn.Module):
    """Cells of one value around the last axes: before and after each, the last axis first."""

    def __init__(self, amounts: tuple[int, ...], value: float = 0.0) -> None:
        super().__init__()
        self.amounts = list(amounts)
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x, self.amounts, value=self.value)


class CenterCrop(nn.Module):
    """A window of a given size in the middle of space."""

    def __init__(self, *size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        for dim, size in enumerate(self.size, 2):
            x = x.narrow(dim, (x.shape[dim] - size) // 2, size)
        return x


class CropLike(nn.Module):
    """The middle of space, as large as another map."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        for dim in range(2, 2 + self.axes):
            x = x.narrow(dim, (x.shape[dim] - like.shape[dim]) // 2, like.shape[dim])
        return x


class CropAt(nn.Module):
    """A window of space from a given cell on, as large as another map."""

    def __init__(self, *offset: int) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        for dim, start in enumerate(self.offset, 2):
            x = x.narrow(dim, start, like.shape[dim])
        return x


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


class Roll(nn.Module):
    """Cells moved around the end of an axis to its start."""

    def __init__(self, shifts: int | tuple[int, ...], dims: int | tuple[int, ...]) -> None:
        super().__init__()
        self.shifts = shifts
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.roll(self.shifts, self.dims)


class SelfAttention(nn.MultiheadAttention):
    """Attention of a sequence [N, T, D] to itself."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x, x, x, need_weights=False)[0]


class CausalSelfAttention(nn.MultiheadAttention):
    """Attention of a sequence [N, T, D] to itself, each place to what comes before it."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        out, _ = super().forward(x, x, x, need_weights=False, attn_mask=hidden, is_causal=True)
        return out


class DotAttention(nn.Module):
    """Scaled dot-product attention, in training with dropout of its weights."""

    def __init__(self, dropout: float, causal: bool = False, scale: float | None = None) -> None:
        super().__init__()
        self.dropout = dropout
        self.causal = causal
        self.scale = scale

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        return nn.functional.scaled_dot_product_attention(
            query,
            key,
            value,
            mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal,
            scale=self.scale,
            enable_gqa=query.dim() == 4,
        )


class OutProjection(nn.Linear):
    """What attention ends in; of a class of its own, as in torch: it is not one of the layers."""


class GroupedQueryAttention(nn.Module):
    """Multi-head attention, [N, T, D]; groups of heads share key and value (Ainslie et al. 2023).

    In masks true hides, as in nn.MultiheadAttention; `attn_mask` is [N, T, S].
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        kv_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        causal: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
    ) -> None:
        super().__init__()
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.causal = causal
        self.sizes = (embed_dim, self.head_dim * kv_heads, self.head_dim * kv_heads)
        given = (embed_dim, kdim or embed_dim, vdim or embed_dim)
        q, k, v = (torch.empty(out, n) for out, n in zip(self.sizes, given, strict=True))
        self.q_proj_weight = nn.Parameter(nn.init.xavier_uniform_(q))
        self.k_proj_weight = nn.Parameter(nn.init.xavier_uniform_(k))
        self.v_proj_weight = nn.Parameter(nn.init.xavier_uniform_(v))
        self.in_proj_bias = nn.Parameter(torch.zeros(sum(self.sizes))) if bias else None
        self.out_proj = OutProjection(embed_dim, embed_dim, bias)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        attn_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
    ) -> Tensor:
        key = query if key is None else key
        value = key if value is None else value
        given = (query, key, value)
        weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        bias = self.in_proj_bias
        biases = (None,) * 3 if bias is None else torch.split_with_sizes(bias, self.sizes)
        q, k, v = (
            torch.unflatten(nn.functional.linear(x, w, b), -1, (-1, self.head_dim)).transpose(1, 2)
            for x, w, b in zip(given, weights, biases, strict=True)
        )
        seen = None if attn_mask is None else ~attn_mask[:, None]
        if key_padding_mask is not None:
            there = ~key_padding_mask[:, None, None]
            seen = there if seen is None else seen & there
        if seen is not None and self.causal:
            seen = seen & seen.new_ones(q.shape[2], q.shape[2]).tril()
        mixed = nn.functional.scaled_dot_product_attention(
            q, k, v, seen, self.dropout if self.training else 0.0,
            is_causal=self.causal and seen is None, enable_gqa=True,
        )  # fmt: skip
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class DropPath(nn.Dropout):
    """Stochastic depth: in training the path of a sample is zero with probability p."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1.0 - self.p
        mask = x.new_empty(x.shape[0]).bernoulli_(keep) / (keep or 1.0)
        return (x.movedim(0, -1) * mask).movedim(-1, 0)


class GaussianNoise(nn.Module):
    """Normal noise, added in training."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training else x


class SampleNormal(nn.Module):
    """A draw from a normal distribution; in evaluation its mean."""

    def forward(self, mean: Tensor, log_var: Tensor) -> Tensor:
        if not self.training:
            return mean
        return mean + (0.5 * log_var).exp() * torch.randn_like(mean)


class SinePositions(nn.Module):
    """Sines and cosines of the position, added to [N, T, D] (Vaswani et al. 2017)."""

    def forward(self, x: Tensor) -> Tensor:
        steps, size = x.shape[1], x.shape[2]
        place = torch.arange(steps, dtype=torch.float32, device=x.device)
        rate = torch.arange(0, size, 2, dtype=torch.float32, device=x.device) / size
        angle = place[:, None] / torch.pow(10000.0, rate)
        code = torch.stack([angle.sin(), angle.cos()], 2).flatten(1)
        return x + code.to(x.dtype)


class Rotary(nn.Module):
    """Features [..., T, D] turned by their place, pair by pair (Su et al. 2021)."""

    def __init__(self, theta: float = 10000.0, pairs: str = "halves") -> None:
        super().__init__()
        self.theta = theta
        self.pairs = pairs

    def forward(self, x: Tensor) -> Tensor:
        steps, size = x.shape[-2], x.shape[-1]
        place = torch.arange(steps, dtype=torch.float32, device=x.device)
        rate = torch.arange(0, size, 2, dtype=torch.float32, device=x.device) / size
        angle = place[:, None] * (1.0 / torch.pow(self.theta, rate))
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        if self.pairs == "halves":
            a, b = x.chunk(2, -1)
            return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
        a, b = x[..., ::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)


class SineEmbedding(nn.Module):
    """Sines and cosines of a number [N] -> [N, size]: the time of a diffusion model."""

    def __init__(self, size: int, cosines: str = "last", longest: float = 10000.0) -> None:
        super().__init__()
        self.size = size
        self.cosines = cosines
        self.longest = longest

    def forward(self, x: Tensor) -> Tensor:
        half = self.size // 2
        steps = torch.arange(half, dtype=torch.float32, device=x.device)
        angle = x[..., None].float() * (-math.log(self.longest) * steps / half).exp()
        pair = (angle.cos(), angle.sin()) if self.cosines == "first" else (angle.sin(), angle.cos())
        code = torch.cat(pair, -1)
        return code.to(x.dtype) if x.is_floating_point() else code
