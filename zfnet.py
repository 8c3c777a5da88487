"""Zfnet: written by archspec from zfnet.yaml."""

from torch import Tensor, nn


class Zfnet(nn.Module):
    """[3, 224, 224] -> [1000]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        features: list[nn.Module] = []
        channels = 3
        for c, k, s, p, pool, norm in (
            (96, 7, 2, 1, True, True),
            (256, 5, 2, 0, True, True),
            (384, 3, 1, 1, False, False),
            (384, 3, 1, 1, False, False),
            (256, 3, 1, 1, True, False),
        ):
            features += [nn.Conv2d(channels, c, k, stride=s, padding=p), nn.ReLU()]
            if pool:
                features.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
            if norm:
                features.append(nn.LocalResponseNorm(5, alpha=0.0005, k=2))
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
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        out: Tensor = self.classifier(x.flatten(1))
        return out
