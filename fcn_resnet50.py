"""FcnResnet50: written by archspec from fcn_resnet50.yaml."""

from torch import Tensor, nn


class Bottleneck(nn.Module):
    """[in_channels, H, W] -> [out, H / stride, W / stride]."""

    def __init__(self, in_channels: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        out = 4 * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(
            width, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
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
        bn3 = self.bn3(self.conv3(y))
        if self.downsample is not None:
            x = self.downsample(x)
        out: Tensor = self.relu3(bn3 + x)
        return out


class Backbone(nn.Module):
    """[in_channels, H, W] -> [1024, H / 8, W / 8], [2048, H / 8, W / 8]."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu1 = nn.ReLU()
        self.max_pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(2)))
        self.layer2 = nn.Sequential(
            Bottleneck(256, 128, stride=2), *(Bottleneck(512, 128) for _ in range(3))
        )
        self.layer3 = nn.Sequential(
            Bottleneck(512, 256), *(Bottleneck(1024, 256, dilation=2) for _ in range(5))
        )
        self.layer4 = nn.Sequential(
            Bottleneck(1024, 512, dilation=2),
            *(Bottleneck(2048, 512, dilation=4) for _ in range(2)),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.max_pool1(x)
        x = self.layer1(x)
        x = self.layer2(x)
        c4 = self.layer3(x)
        c5 = self.layer4(c4)
        return c4, c5


class Head(nn.Sequential):
    """[in_channels, H, W] -> [classes, H, W]."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, in_channels // 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(in_channels // 4),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(in_channels // 4, classes, 1),
        )


class FcnResnet50(nn.Module):
    """[3, H, W] -> [21, H, W]."""

    def __init__(self, classes: int = 21) -> None:
        super().__init__()
        self.backbone = Backbone(3)
        self.classifier = Head(2048, classes)

    def forward(self, x: Tensor) -> Tensor:
        _, y = self.backbone(x)
        out: Tensor = nn.functional.interpolate(self.classifier(y), x.shape[2:], mode="bilinear")
        return out
