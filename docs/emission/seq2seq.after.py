"""Seq2seq: written by archspec from seq2seq.yaml."""

import torch
from torch import Tensor, nn


class Seq2seq(nn.Module):
    """[S], [T] -> [T, 1000], [T, S]."""

    def __init__(
        self, words: int = 1000, width: int = 64, hidden: int = 128, drop: float = 0.2
    ) -> None:
        super().__init__()
        self.embed_source = nn.Embedding(words, width)
        self.encoder1 = nn.LSTM(width, hidden, batch_first=True)
        self.encoder_drop = nn.Dropout(drop)
        self.encoder2 = nn.LSTM(hidden, hidden, batch_first=True)
        self.embed_target = nn.Embedding(words, width)
        self.decoder1 = nn.LSTM(width, hidden, batch_first=True)
        self.decoder_drop = nn.Dropout(drop)
        self.decoder2 = nn.LSTM(hidden, hidden, batch_first=True)
        self.weights = nn.Softmax(dim=-1)
        self.mix = nn.Linear(2 * hidden, hidden)
        self.tanh1 = nn.Tanh()
        self.generator = nn.Linear(hidden, words)

    def forward(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        output, (h, c) = self.encoder1(self.embed_source(source))
        x = self.encoder_drop(output)
        output, (encoder2_h, encoder2_c) = self.encoder2(x)
        decoder1_output, _ = self.decoder1(self.embed_target(target), (h, c))
        decoder2_output, _ = self.decoder2(
            self.decoder_drop(decoder1_output), (encoder2_h, encoder2_c)
        )
        weights = self.weights(decoder2_output @ output.permute(0, 2, 1))
        x = self.tanh1(self.mix(torch.cat([weights @ output, decoder2_output], 2)))
        generator = self.generator(x)
        return {"logits": generator, "attention": weights}
