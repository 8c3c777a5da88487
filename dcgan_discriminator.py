"""DcganDiscriminator: written by archspec from dcgan_discriminator.yaml."""

from torch import Tensor, nn


class DcganDiscriminator(nn.Module):
    """[3, 64, 64] -> [1]."""

    def __init__(self, channels: int = 3, maps: int = 128, kernel: int = 5) -> None:
        super().__init__()
        main: list[nn.Module] = []
        width = channels
        for i, c in enumerate((1, 2, 4, 8)):
            main.append(
                nn.Conv2d(width, c * maps, kernel, stride=2, padding=(kernel - 1) // 2, bias=False)
            )
            if i != 0:
                main.append(nn.BatchNorm2d(c * maps))
            main.append(nn.LeakyReLU(0.2))
            width = c * maps
        main += [nn.Conv2d(width, 1, 4, bias=False), nn.Sigmoid()]
        self.main = nn.Sequential(*main)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, mean=1.0, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.main(x)
        out: Tensor = x.flatten(1)
        return out
