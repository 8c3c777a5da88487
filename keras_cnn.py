"""KerasCnn: written by archspec from keras_cnn.yaml."""

from torch import Tensor, nn


class KerasCnn(nn.Module):
    """[1, 28, 28] -> [10]."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, padding=3)
        self.relu1 = nn.ReLU()
        self.max_pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(64, 128, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(128, 128, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.max_pool2 = nn.MaxPool2d(2)
        self.conv4 = nn.Conv2d(128, 256, 3, padding=1)
        self.relu4 = nn.ReLU()
        self.conv5 = nn.Conv2d(256, 256, 3, padding=1)
        self.relu5 = nn.ReLU()
        self.max_pool3 = nn.MaxPool2d(2)
        self.linear1 = nn.Linear(2304, 128)
        self.relu6 = nn.ReLU()
        self.dropout1 = nn.Dropout()
        self.linear2 = nn.Linear(128, 64)
        self.relu7 = nn.ReLU()
        self.dropout2 = nn.Dropout()
        self.fc = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.conv1(x))
        x = self.max_pool1(x)
        x = self.relu2(self.conv2(x))
        x = self.relu3(self.conv3(x))
        x = self.max_pool2(x)
        x = self.relu4(self.conv4(x))
        x = self.relu5(self.conv5(x))
        x = self.max_pool3(x)
        x = self.relu6(self.linear1(x.flatten(1)))
        x = self.dropout1(x)
        x = self.relu7(self.linear2(x))
        x = self.dropout2(x)
        out: Tensor = self.fc(x)
        return out
