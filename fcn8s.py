"""Fcn8s: written by archspec from fcn8s.yaml."""

import torch
from torch import Tensor, nn


def bilinear_(weight: Tensor) -> None:
    """Fills a transposed convolution: it interpolates each channel (Long et al. 2015)."""
    kernel = weight.new_ones(())
    for size in weight.shape[2:]:
        reach = (size + 1) // 2
        place = torch.arange(size, device=weight.device) - (reach - 1 if size % 2 else reach - 0.5)
        kernel = kernel[..., None] * (1 - place.abs() / reach)
    weight.data.zero_()
    for c in range(weight.shape[0]):
        weight.data[c, c % weight.shape[1]] = kernel


class CropAt(nn.Module):
    """A window of space from a given cell on, as large as another map."""

    def __init__(self, *offset: int) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        for dim, start in enumerate(self.offset, 2):
            x = x.narrow(dim, start, like.shape[dim])
        return x


class Fcn8s(nn.Module):
    """[3, H, W] -> [21, H, W]."""

    def __init__(self, classes: int = 21) -> None:
        super().__init__()
        self.conv1_1 = nn.Conv2d(3, 64, 3, padding=100)
        self.relu1 = nn.ReLU()
        self.conv1_2 = nn.Conv2d(64, 64, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2, ceil_mode=True)
        self.conv2_1 = nn.Conv2d(64, 128, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.conv2_2 = nn.Conv2d(128, 128, 3, padding=1)
        self.relu4 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2, ceil_mode=True)
        self.conv3_1 = nn.Conv2d(128, 256, 3, padding=1)
        self.relu5 = nn.ReLU()
        self.conv3_2 = nn.Conv2d(256, 256, 3, padding=1)
        self.relu6 = nn.ReLU()
        self.conv3_3 = nn.Conv2d(256, 256, 3, padding=1)
        self.relu7 = nn.ReLU()
        self.pool3 = nn.MaxPool2d(2, ceil_mode=True)
        self.conv4_1 = nn.Conv2d(256, 512, 3, padding=1)
        self.relu8 = nn.ReLU()
        self.conv4_2 = nn.Conv2d(512, 512, 3, padding=1)
        self.relu9 = nn.ReLU()
        self.conv4_3 = nn.Conv2d(512, 512, 3, padding=1)
        self.relu10 = nn.ReLU()
        self.pool4 = nn.MaxPool2d(2, ceil_mode=True)
        self.conv5_1 = nn.Conv2d(512, 512, 3, padding=1)
        self.relu11 = nn.ReLU()
        self.conv5_2 = nn.Conv2d(512, 512, 3, padding=1)
        self.relu12 = nn.ReLU()
        self.conv5_3 = nn.Conv2d(512, 512, 3, padding=1)
        self.relu13 = nn.ReLU()
        self.pool5 = nn.MaxPool2d(2, ceil_mode=True)
        self.fc6 = nn.Conv2d(512, 4096, 7)
        self.relu14 = nn.ReLU()
        self.dropout1 = nn.Dropout()
        self.fc7 = nn.Conv2d(4096, 4096, 1)
        self.relu15 = nn.ReLU()
        self.dropout2 = nn.Dropout()
        self.score_fr = nn.Conv2d(4096, classes, 1)
        nn.init.zeros_(self.score_fr.weight)
        if self.score_fr.bias is not None:
            nn.init.zeros_(self.score_fr.bias)
        self.upscore2 = nn.ConvTranspose2d(classes, classes, 4, stride=2, bias=False)
        self.score_pool4 = nn.Conv2d(512, classes, 1)
        nn.init.zeros_(self.score_pool4.weight)
        if self.score_pool4.bias is not None:
            nn.init.zeros_(self.score_pool4.bias)
        self.crop1 = CropAt(5, 5)
        self.upscore_pool4 = nn.ConvTranspose2d(classes, classes, 4, stride=2, bias=False)
        self.score_pool3 = nn.Conv2d(256, classes, 1)
        nn.init.zeros_(self.score_pool3.weight)
        if self.score_pool3.bias is not None:
            nn.init.zeros_(self.score_pool3.bias)
        self.crop2 = CropAt(9, 9)
        self.upscore = nn.Upsample(scale_factor=8, mode="bilinear")
        self.score = CropAt(27, 27)
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                bilinear_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.conv1_1(x))
        y = self.relu2(self.conv1_2(y))
        y = self.pool1(y)
        y = self.relu3(self.conv2_1(y))
        y = self.relu4(self.conv2_2(y))
        y = self.pool2(y)
        y = self.relu5(self.conv3_1(y))
        y = self.relu6(self.conv3_2(y))
        y = self.relu7(self.conv3_3(y))
        y = self.pool3(y)
        z = self.relu8(self.conv4_1(y))
        z = self.relu9(self.conv4_2(z))
        z = self.relu10(self.conv4_3(z))
        z = self.pool4(z)
        w = self.relu11(self.conv5_1(z))
        w = self.relu12(self.conv5_2(w))
        w = self.relu13(self.conv5_3(w))
        w = self.pool5(w)
        w = self.relu14(self.fc6(w))
        w = self.dropout1(w)
        w = self.relu15(self.fc7(w))
        w = self.dropout2(w)
        upscore2 = self.upscore2(self.score_fr(w))
        z = self.upscore_pool4(upscore2 + self.crop1(self.score_pool4(z), upscore2))
        out: Tensor = self.score(self.upscore(z + self.crop2(self.score_pool3(y), z)), x)
        return out
