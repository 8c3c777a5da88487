"""Xception: written by archspec from xception.yaml."""

from torch import Tensor, nn


class SeparableConv(nn.Sequential):
    """[in_channels, H, W] -> [out, H, W]."""

    def __init__(self, in_channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out, 1, bias=False)


class Down(nn.Module):
    """[in_channels, H, W] -> [out, H', W']."""

    def __init__(self, in_channels: int, first: int, out: int, relu: bool = True) -> None:
        super().__init__()
        rep: list[nn.Module] = []
        if relu:
            rep.append(nn.ReLU())
        rep += [
            SeparableConv(in_channels, first),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            SeparableConv(first, out),
            nn.BatchNorm2d(out),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        self.rep = nn.Sequential(*rep)
        self.skip = nn.Conv2d(in_channels, out, 1, stride=2, bias=False)
        self.skipbn = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.rep(x) + self.skipbn(self.skip(x))
        return out


class Middle(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        rep: list[nn.Module] = []
        for _ in range(3):
            rep += [nn.ReLU(), SeparableConv(in_channels, in_channels), nn.BatchNorm2d(in_channels)]
        self.rep = nn.Sequential(*rep)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.rep(x) + x
        return out


class Xception(nn.Module):
    """[3, 299, 299] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(32, 64, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu2 = nn.ReLU()
        self.block1 = Down(64, first=128, out=128, relu=False)
        self.block2 = Down(128, first=256, out=256)
        self.block3 = Down(256, first=728, out=728)
        self.block4 = Middle(728)
        self.block5 = Middle(728)
        self.block6 = Middle(728)
        self.block7 = Middle(728)
        self.block8 = Middle(728)
        self.block9 = Middle(728)
        self.block10 = Middle(728)
        self.block11 = Middle(728)
        self.block12 = Down(728, first=728, out=1024)
        self.conv3 = SeparableConv(1024, 1536)
        self.bn3 = nn.BatchNorm2d(1536)
        self.relu3 = nn.ReLU()
        self.conv4 = SeparableConv(1536, 2048)
        self.bn4 = nn.BatchNorm2d(2048)
        self.relu4 = nn.ReLU()
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        x = self.block1(x)
        x = self.block2(x)
        x = self.block3(x)
        x = self.block4(x)
        x = self.block5(x)
        x = self.block6(x)
        x = self.block7(x)
        x = self.block8(x)
        x = self.block9(x)
        x = self.block10(x)
        x = self.block11(x)
        x = self.block12(x)
        x = self.conv3(x)
        x = self.relu3(self.bn3(x))
        x = self.conv4(x)
        x = self.relu4(self.bn4(x))
        out: Tensor = self.fc(self.global_avg_pool1(x).flatten(1))
        return out
