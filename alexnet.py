"""Alexnet: written by archspec from alexnet.yaml."""

from torch import Tensor, nn


class ResponseNorm(nn.Sequential):
    """[C, H, W] -> [C, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.local_response_norm1 = nn.LocalResponseNorm(5, alpha=0.0005, k=2)


class Alexnet(nn.Module):
    """[3, 227, 227] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        features: list[nn.Module] = []
        channels = 3
        for c, k, s, p, g, pool, lrn in (
            (96, 11, 4, 0, 1, True, True),
            (256, 5, 1, 2, 1, True, True),
            (384, 3, 1, 1, 1, False, False),
            (384, 3, 1, 1, 1, False, False),
            (256, 3, 1, 1, 1, True, False),
        ):
            features += [nn.Conv2d(channels, c, k, stride=s, padding=p, groups=g), nn.ReLU()]
            if pool:
                features.append(nn.MaxPool2d(3, stride=2))
            if lrn:
                features.append(ResponseNorm())
            channels = c
        self.features = nn.Sequential(*features)
        classifier: list[nn.Module] = []
        for width in (9216, 4096):
            classifier += [nn.Linear(width, 4096), nn.ReLU(), nn.Dropout()]
        classifier.append(nn.Linear(4096, classes))
        self.classifier = nn.Sequential(*classifier)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        for name in ("features.0.bias", "features.8.bias"):
            nn.init.constant_(self.get_parameter(name), 0)
        for name in (
            "features.4.bias",
            "features.10.bias",
            "features.12.bias",
            "classifier.0.bias",
            "classifier.3.bias",
        ):
            nn.init.constant_(self.get_parameter(name), 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        out: Tensor = self.classifier(x.flatten(1))
        return out
