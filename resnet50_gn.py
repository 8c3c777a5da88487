"""Resnet50Gn: written by archspec from resnet50_gn.yaml."""

from torch import Tensor, nn


class Bottleneck(nn.Module):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, width: int, groups: int, stride: int = 1) -> None:
        super().__init__()
        out = 4 * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.GroupNorm(groups, width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.GroupNorm(groups, width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.GroupNorm(groups, out)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(in_channels, out, 1, stride=stride, bias=False), nn.GroupNorm(groups, out)
            )
            if stride != 1 or in_channels != out
            else None
        )
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        bn3 = self.bn3(self.conv3(y))
        if self.downsample is not None:
            x = self.downsample(x)
        out: Tensor = self.relu3(bn3 + x)
        return out


class Resnet50Gn(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000, groups: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.GroupNorm(groups, 64)
        self.relu1 = nn.ReLU()
        self.max_pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(
            Bottleneck(64, width=64, groups=groups),
            *(Bottleneck(256, width=64, groups=groups) for _ in range(2)),
        )
        self.layer2 = nn.Sequential(
            Bottleneck(256, width=128, groups=groups, stride=2),
            *(Bottleneck(512, width=128, groups=groups) for _ in range(3)),
        )
        self.layer3 = nn.Sequential(
            Bottleneck(512, width=256, groups=groups, stride=2),
            *(Bottleneck(1024, width=256, groups=groups) for _ in range(5)),
        )
        self.layer4 = nn.Sequential(
            Bottleneck(1024, width=512, groups=groups, stride=2),
            *(Bottleneck(2048, width=512, groups=groups) for _ in range(2)),
        )
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.max_pool1(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        out: Tensor = self.fc(self.global_avg_pool1(x).flatten(1))
        return out
