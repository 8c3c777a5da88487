"""RnnClassifier: written by archspec from rnn_classifier.yaml."""

from torch import Tensor, nn


class RnnClassifier(nn.Module):
    """[T, 128] -> [10]."""

    def __init__(
        self, classes: int = 10, features: int = 128, hidden: int = 256, layers: int = 1
    ) -> None:
        super().__init__()
        self.rnn = nn.RNN(features, hidden, num_layers=layers, batch_first=True)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.rnn(x)[0][:, -1])
        return out
