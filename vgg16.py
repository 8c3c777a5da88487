"""Vgg16: written by archspec from vgg16.yaml."""

from torch import Tensor, nn


class Vgg16(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        features: list[nn.Module] = []
        channels = 3
        for n, c in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
            for _ in range(n):
                features += [nn.Conv2d(channels, c, 3, padding=1), nn.ReLU()]
                channels = c
            features.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*features)
        self.adaptive_avg_pool1 = nn.AdaptiveAvgPool2d(7)
        classifier: list[nn.Module] = []
        for width in (25088, 4096):
            classifier += [nn.Linear(width, 4096), nn.ReLU(), nn.Dropout()]
        classifier.append(nn.Linear(4096, classes))
        self.classifier = nn.Sequential(*classifier)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        out: Tensor = self.classifier(self.adaptive_avg_pool1(x).flatten(1))
        return out
