"""Lenet5: written by archspec from lenet5.yaml."""

from torch import Tensor, nn


class Lenet5(nn.Module):
    """[1, 32, 32] -> [10]."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.tanh1 = nn.Tanh()
        self.s2 = nn.AvgPool2d(2)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.tanh2 = nn.Tanh()
        self.s4 = nn.AvgPool2d(2)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.tanh3 = nn.Tanh()
        self.f6 = nn.Linear(120, 84)
        self.tanh4 = nn.Tanh()
        self.fc = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tanh1(self.c1(x))
        x = self.s2(x)
        x = self.tanh2(self.c3(x))
        x = self.s4(x)
        x = self.tanh3(self.c5(x))
        x = self.tanh4(self.f6(x.flatten(1)))
        out: Tensor = self.fc(x)
        return out
