"""LstmClassifier: written by archspec from lstm_classifier.yaml."""

from torch import Tensor, nn


class LstmClassifier(nn.Module):
    """[T, 128] -> [10]."""

    def __init__(
        self, classes: int = 10, features: int = 128, hidden: int = 256, layers: int = 2
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, num_layers=layers, batch_first=True)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.lstm(x)[0][:, -1])
        return out
