"""Vae: written by archspec from vae.yaml."""

import torch
from torch import Tensor, nn


class Reshape(nn.Module):
    """The same elements in another shape; the batch axis stays."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)


class SampleNormal(nn.Module):
    """A draw from a normal distribution; in evaluation its mean."""

    def forward(self, mean: Tensor, log_var: Tensor) -> Tensor:
        if not self.training:
            return mean
        return mean + (0.5 * log_var).exp() * torch.randn_like(mean)


class Vae(nn.Module):
    """[1, 28, 28] -> [1, 28, 28], [20], [20]."""

    def __init__(self, hidden: int = 500, latent: int = 20) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, hidden), nn.Tanh())
        self.mean = nn.Linear(hidden, latent)
        self.log_var = nn.Linear(hidden, latent)
        self.z = SampleNormal()
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.Tanh(),
            nn.Linear(hidden, 784),
            nn.Sigmoid(),
            Reshape(1, 28, 28),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.normal_(module.bias, std=0.01)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.encoder(x.flatten(1))
        mean = self.mean(x)
        log_var = self.log_var(x)
        x = self.z(mean, log_var)
        decoder = self.decoder(x)
        return {"reconstruction": decoder, "mean": mean, "log_var": log_var}
