"""A trained language model and a beginning → how it goes on, token by token.

    generate("runs/gpt", "Mary had a", 20, temperature=0.8, seed=1)     " little lamb, its fl"

Each token is drawn from what the network says follows; at temperature 0 it is the likeliest. The
network sees the last tokens, as many as it has learned from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from archspec.text.words import cut
from archspec.train.errors import TrainError
from archspec.train.inputs import inputs
from archspec.train.sequences import START
from archspec.train.tasks.next_token import NextToken
from archspec.train.tokens import BYTES, decoded, encoded
from archspec.train.use import Trained, load


@torch.no_grad()
def generate(
    run: str | Path | Trained, prompt: str | Sequence[int], n: int = 200, *,
    temperature: float = 1.0, top_k: int | None = None, seed: int = 0,
) -> Any:  # fmt: skip
    """What follows a prompt: `n` tokens, as text where the prompt is text, else as numbers.

    `temperature` divides the logits, so that below 1 likely tokens are likelier still; at 0 the
    likeliest is taken. `top_k` draws among the likeliest so many. The same seed gives the same
    tokens. Where the network reads a source as well, the prompt is the source. Raises TrainError.
    """
    _checked(n, temperature, top_k)
    speaker = Speaker(run if isinstance(run, Trained) else load(run))
    tokens = speaker.tokens(prompt)
    generator = torch.Generator().manual_seed(seed)
    said: list[int] = []
    for _ in range(n):
        logits = speaker.following(tokens, said)
        said.append(_drawn(logits, temperature, top_k, generator))
    return speaker.text(said) if isinstance(prompt, str) else said


def read(found: Trained, prompt: str) -> str | list[int]:
    """A prompt that was written: numbers, where the network has learned from numbers."""
    if Speaker(found).of_text:
        return prompt
    try:
        return [int(word) for word in prompt.replace(",", " ").split()]
    except ValueError:
        message = f"the network has learned from numbers, and `{cut(prompt)}` are none"
        raise TrainError("E804", message, "for example --prompt '17 4 25'") from None


def _checked(n: Any, temperature: Any, top_k: Any) -> None:
    """Raises TrainError for what draws no tokens."""
    number = isinstance(temperature, (int, float)) and not isinstance(temperature, bool)
    wrong = ""
    if type(n) is not int or n < 1:
        wrong = f"`n` is {n}; it counts tokens, from 1"
    elif not number or not 0 <= temperature < math.inf:
        wrong = f"`temperature` is {temperature}; it is a number from 0"
    elif top_k is not None and (type(top_k) is not int or top_k < 1):
        wrong = f"`top_k` is {top_k}; it counts tokens, from 1"
    if wrong:
        raise TrainError("E804", wrong, "for example n=200, temperature=0.8, top_k=20")


def _drawn(
    logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator
) -> int:
    """One token by logits [K]."""
    if temperature == 0:
        return int(logits.argmax())
    if top_k is not None and top_k < len(logits):
        least = logits.topk(top_k).values[-1]
        logits = logits.masked_fill(logits < least, -math.inf)
    shares = (logits / temperature).softmax(0)
    return int(torch.multinomial(shares, 1, generator=generator))


class Speaker:
    """A trained network that says, after tokens, how likely each is to follow."""

    def __init__(self, found: Trained) -> None:
        if not isinstance(found.task, NextToken):
            message = f"`{found.program.name}` was trained for {found.task.name}"
            raise TrainError("E804", message, "`task: next_token` learns to go on with a text")
        self.found, self.task = found, found.task
        *sources, self.read = inputs(found.program)
        self.source = sources[0] if sources else None
        shapes = found.facts.inputs
        self.places = shapes[self.read.name][0] if shapes else found.facts.shape[0]

    @property
    def of_text(self) -> bool:
        """Whether tokens are characters or bytes."""
        how = self.task.cut
        return bool(self.found.facts.classes) or (how is not None and how.of == BYTES)

    def tokens(self, prompt: str | Sequence[int]) -> list[int]:
        """A prompt as numbers. Raises TrainError."""
        if isinstance(prompt, str):
            found = self._encoded(prompt)
        else:
            found = [int(token) for token in prompt]
        if not found:
            message = "the prompt is empty: nothing is there that something could follow"
            raise TrainError("E804", message, "give at least one token")
        symbols = (self.source or self.read).symbols
        strange = [token for token in found if token < 0 or (symbols and token >= symbols)]
        if strange:
            message = f"the prompt holds the token {strange[0]}; they are from 0 to {symbols - 1}"
            raise TrainError("E804", message, "a prompt is of tokens that the network has learned")
        return found

    def _encoded(self, prompt: str) -> list[int]:
        if not self.of_text:
            message = "the network has learned from numbers, and knows no characters"
            raise TrainError("E804", message, "give the prompt as numbers: [17, 4, 25]")
        if not self.found.facts.classes:
            return list(prompt.encode())
        return list(map(int, encoded(prompt, self.found.facts.classes, "the prompt")))

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as text."""
        return decoded(tokens, self.found.facts.classes)

    def following(self, prompt: list[int], said: list[int]) -> Tensor:
        """A number for each token that may follow: [K]."""
        so_far = [START, *said] if self.source is not None else [*prompt, *said]
        seen = torch.tensor(so_far[-self.places :])
        count = len(seen)
        if not self.read.free:  # what stands behind is seen by nobody: the network is causal
            seen = functional.pad(seen, [0, self.places - count])
        x: Any = seen[None]
        if self.source is not None:
            x = {self.source.name: torch.tensor(prompt)[None], self.read.name: x}
        return self.task.logits(self.found.model, x)[0, count - 1].double()
