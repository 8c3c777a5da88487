"""Siamese: written by archspec from siamese.yaml."""

from torch import Tensor, nn


class Abs(nn.Module):
    """The absolute value."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


class Tower(nn.Sequential):
    """[in_channels, H, W] -> [4096]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        channels = in_channels
        for i, (c, k) in enumerate(((64, 10), (128, 7), (128, 4))):
            self.add_module(f"conv{i + 1}", nn.Conv2d(channels, c, k))
            self.add_module(f"relu{i + 1}", nn.ReLU())
            self.add_module(f"max_pool{i + 1}", nn.MaxPool2d(2))
            channels = c
        self.conv4 = nn.Conv2d(channels, 256, 4)
        self.relu4 = nn.ReLU()
        self.flatten1 = nn.Flatten()
        self.linear1 = nn.Linear(9216, 4096)
        self.sigmoid1 = nn.Sigmoid()


class Siamese(nn.Module):
    """[1, 105, 105], [1, 105, 105] -> [1]."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = Tower(1)
        self.abs1 = Abs()
        self.fc = nn.Linear(4096, 1)
        self.sigmoid1 = nn.Sigmoid()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.normal_(module.bias, mean=0.5, std=0.01)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.2)
                nn.init.normal_(module.bias, mean=0.5, std=0.01)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        x = self.abs1(self.tower(left) - self.tower(right))
        out: Tensor = self.sigmoid1(self.fc(x))
        return out
