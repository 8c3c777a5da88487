"""Localiser: written by archspec from localiser.yaml."""

from torch import Tensor, nn


class Backbone(nn.Sequential):
    """[in_channels, H, W] -> [C']."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        features: list[nn.Module] = []
        channels = in_channels
        for n, c in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
            for _ in range(n):
                features += [nn.Conv2d(channels, c, 3, padding=1), nn.ReLU()]
                channels = c
            features.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*features)
        self.adaptive_avg_pool1 = nn.AdaptiveAvgPool2d(7)
        self.flatten1 = nn.Flatten()
        classifier: list[nn.Module] = []
        for width in (49 * channels, 4096):
            classifier += [nn.Linear(width, 4096), nn.ReLU(), nn.Dropout()]
        self.classifier = nn.Sequential(*classifier)


class Localiser(nn.Module):
    """[3, 224, 224] -> [1000], [4]."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.backbone = Backbone(3)
        self.scores = nn.Linear(4096, classes)
        self.box = nn.Linear(4096, 4)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        for module in self.backbone.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.backbone(x)
        scores = self.scores(x)
        box = self.box(x)
        return {"scores": scores, "box": box}
