"""Autoencoder: written by archspec from autoencoder.yaml."""

from torch import Tensor, nn


class Autoencoder(nn.Module):
    """[784] -> [784]."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 32), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(32, 784), nn.Sigmoid())
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder(x)
        out: Tensor = self.decoder(x)
        return out
