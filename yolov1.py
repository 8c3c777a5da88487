"""Yolov1: written by archspec from yolov1.yaml."""

from torch import Tensor, nn


class Conv(nn.Sequential):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out, kernel, stride=stride, padding=(kernel - 1) // 2),
            nn.LeakyReLU(0.1),
        )


class Pair(nn.Sequential):
    """[in_channels, H, W] -> [out, H, W]."""

    def __init__(self, in_channels: int, reduce: int, out: int) -> None:
        super().__init__(Conv(in_channels, reduce), Conv(reduce, out, kernel=3))


class Yolov1(nn.Module):
    """[3, 448, 448] -> [7, 7, 30]."""

    def __init__(self, classes: int = 20, boxes: int = 2, grid: int = 7) -> None:
        super().__init__()
        self.grid = grid
        self.boxes = boxes
        self.classes = classes
        self.features = nn.Sequential(
            Conv(3, 64, kernel=7, stride=2),
            nn.MaxPool2d(2),
            Conv(64, 192, kernel=3),
            nn.MaxPool2d(2),
            Pair(192, reduce=128, out=256),
            Pair(256, reduce=256, out=512),
            nn.MaxPool2d(2),
            *(Pair(512, reduce=256, out=512) for _ in range(4)),
            Pair(512, reduce=512, out=1024),
            nn.MaxPool2d(2),
            *(Pair(1024, reduce=512, out=1024) for _ in range(2)),
            Conv(1024, 1024, kernel=3),
            Conv(1024, 1024, kernel=3, stride=2),
            *(Conv(1024, 1024, kernel=3) for _ in range(2)),
        )
        self.detector = nn.Sequential(
            nn.Linear(50176, 4096),
            nn.LeakyReLU(0.1),
            nn.Dropout(),
            nn.Linear(4096, grid**2 * (5 * boxes + classes)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.detector(x.flatten(1))
        out: Tensor = x.reshape(x.shape[0], self.grid, self.grid, 5 * self.boxes + self.classes)
        return out
