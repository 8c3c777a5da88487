"""SeResnet50: written by archspec from se_resnet50.yaml."""

from collections import OrderedDict

from torch import Tensor, nn


class SEModule(nn.Module):
    """[in_channels, H, W] -> [in_channels, H, W]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.adaptive_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(in_channels, in_channels // 16, 1)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Conv2d(in_channels // 16, in_channels, 1)
        self.sigmoid1 = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.fc1(self.adaptive_avg_pool1(x)))
        out: Tensor = self.sigmoid1(self.fc2(y)) * x
        return out


class SEBottleneck(nn.Module):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        out = 4 * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.se_module = SEModule(out)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(in_channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out)
            )
            if stride != 1 or in_channels != out
            else None
        )
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        se_module = self.se_module(self.bn3(self.conv3(y)))
        if self.downsample is not None:
            x = self.downsample(x)
        out: Tensor = self.relu3(se_module + x)
        return out


class SeResnet50(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.layer0 = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
                bn1=nn.BatchNorm2d(64),
                relu1=nn.ReLU(),
            ),
        )
        self.max_pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.layer1 = nn.Sequential(
            SEBottleneck(64, 64), *(SEBottleneck(256, 64) for _ in range(2))
        )
        self.layer2 = nn.Sequential(
            SEBottleneck(256, 128, stride=2), *(SEBottleneck(512, 128) for _ in range(3))
        )
        self.layer3 = nn.Sequential(
            SEBottleneck(512, 256, stride=2), *(SEBottleneck(1024, 256) for _ in range(5))
        )
        self.layer4 = nn.Sequential(
            SEBottleneck(1024, 512, stride=2), *(SEBottleneck(2048, 512) for _ in range(2))
        )
        self.global_avg_pool1 = nn.AdaptiveAvgPool2d(1)
        self.last_linear = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer0(x)
        x = self.max_pool1(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        out: Tensor = self.last_linear(self.global_avg_pool1(x).flatten(1))
        return out
