"""A small GPT, trained on Python's own documentation with data, sequence and tensor parallelism on one grid.

Run it on simulated ranks, or on MPI's::

    python examples/gpt.py --ranks 4
    mpiexec -n 4 python examples/gpt.py
    python examples/gpt.py --ranks 8 --sequence 2

The network is torch's own, unchanged. It reads characters and predicts the next one. The grid has three axes. Along
``data`` lie sequences, along ``sequence`` parts of each sequence, along ``model`` heads of the attention and hidden
features: the rows of the first weights of a block, the columns of the second ones. Every data movement is a linear
operator, and its adjoint is checked before training begins.
"""

from __future__ import annotations

import copy
import math
import sys

import torch
import training
from torch import nn

from distdl_ops import Grid, Split, World
from torch_bridge import distribute, distribute_tensor, explain


class Block(nn.Module):
    """A layer of the transformer: causal attention, and two linear layers, each with a shortcut.

    Parameters
    ----------
    width, heads : int
        Features of a character, and heads of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.rise, self.fall = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the next features: from shape (sequences, length, width) to the same."""
        y = self.norm1(x)
        query, key, value = (
            layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        seen = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(-2))
        changed: torch.Tensor = x + self.fall(nn.functional.gelu(self.rise(self.norm2(x))))
        return changed


class GPT(nn.Module):
    """From characters to the scores of the next ones.

    Parameters
    ----------
    vocabulary, length : int
        How many characters there are, and of a sequence.
    width, heads, layers : int
        Features of a character, heads of the attention, layers of the transformer.
    """

    def __init__(self, vocabulary: int, length: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        """Return the scores: from shape (sequences, length) to one more axis."""
        x = self.token(characters) + self.position(torch.arange(characters.shape[1]))
        for block in self.blocks:
            x = block(x)
        scores: torch.Tensor = self.head(self.norm(x))
        return scores


ROWS = {"weight": {"model": Split(0)}, "bias": {"model": Split(0)}}
COLUMNS = {"weight": {"model": Split(1)}}
TENSOR_PARALLEL = {
    **{
        f"blocks.*.{layer}.{name}": roles for layer in ("query", "key", "value", "rise") for name, roles in ROWS.items()
    },
    **{f"blocks.*.{layer}.{name}": roles for layer in ("out", "fall") for name, roles in COLUMNS.items()},
}
"""How weights lie along ``model``: heads and hidden features are split, so the sums over them are over the ranks."""


class Options(training.Options):
    """What the command line says."""

    data: int | None
    sequence: int
    model: int
    steps: int
    length: int
    width: int
    heads: int
    layers: int


def characters_of(text: str) -> tuple[list[str], torch.Tensor]:
    """Return the characters that a text has, in order, and the text as their numbers."""
    vocabulary = sorted(set(text))
    number = {character: k for k, character in enumerate(vocabulary)}
    return vocabulary, torch.tensor([number[character] for character in text])


def documentation() -> str:
    """Return what ``help()`` knows about Python's language: some 450 000 characters of English and code."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def batches(text: torch.Tensor, options: Options, count: int) -> list[training.Sample]:
    """Return so many batches: pieces of a text, and the same pieces one character later."""
    generator = torch.Generator().manual_seed(options.seed)
    window = torch.arange(options.length)
    found = []
    for _ in range(count):
        starts = torch.randint(len(text) - options.length, (options.batch_size, 1), generator=generator)
        found.append((text[starts + window], text[starts + window + 1]))
    return found


def prepare(world: World, options: Options) -> Grid:
    """Return the grid; raise a ValueError in one line where the options do not fit together."""
    if options.width % options.heads:
        raise ValueError(f"--width {options.width}: expected a multiple of --heads {options.heads}")
    rest = options.sequence * options.model
    return Grid(world, data=options.data or max(world.size // rest, 1), sequence=options.sequence, model=options.model)


def run(world: World, options: Options, grid: Grid) -> int:
    """Train on the ranks of a world, and return the exit status: 0 when everything is as it should be."""
    vocabulary, text = characters_of(documentation())
    torch.manual_seed(options.seed)
    alone = GPT(len(vocabulary), options.length, options.width, options.heads, options.layers)
    alone = alone.to(getattr(torch, options.dtype))
    if world.rank == 0:
        count = sum(weights.numel() for weights in alone.parameters())
        print(f"GPT with {count} parameters on {grid!r}, {world.size} ranks, {options.dtype}\n")
    model = distribute(copy.deepcopy(alone), grid, TENSOR_PARALLEL)

    def loss(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        inputs, targets = (distribute_tensor(x, grid, data=Split(0), sequence=Split(1)) for x in (inputs, targets))
        return nn.functional.cross_entropy(model(inputs).movedim(-1, 1), targets)

    sequential = training.Network(
        alone, lambda inputs, targets: nn.functional.cross_entropy(alone(inputs).movedim(-1, 1), targets)
    )
    known, unknown = text[: 9 * len(text) // 10], text[9 * len(text) // 10 :]

    def outcome() -> str:
        with torch.no_grad():
            mean = sum(loss(*batch).item() for batch in batches(unknown, options, 4)) / 4
        guess = math.log(len(vocabulary))
        return f"loss on text that it has not seen: {mean:.4f}; if all characters were alike, it would be {guess:.4f}"

    title = f"GPT on Python's documentation, {grid!r}, {options.dtype}"
    steps = batches(known, options, options.steps)
    return training.train_both(
        world, training.Network(model, loss), sequential, steps, explain(loss, *steps[0]), options, title, outcome
    )


def main(arguments: list[str] | None = None) -> int:
    """Run on MPI's ranks under mpiexec, on simulated ranks otherwise."""
    parser = training.Parser("gpt", str(__doc__), batch_size=16, lr=3e-3)
    for name, default, text in (
        ("data", None, "ranks along which sequences lie (default: as many as there are)"),
        ("sequence", 1, "ranks along which parts of sequences lie (default: 1)"),
        ("model", 2, "ranks along which heads and features lie (default: 2)"),
        ("steps", 80, "of training"),
        ("length", 64, "of the sequences, in characters"),
        ("width", 64, "features of a character"),
        ("heads", 4, "of the attention"),
        ("layers", 2, "of the transformer"),
    ):
        parser.add_argument(f"--{name}", type=training.at_least_one, default=default, help=text)
    return training.start(arguments, parser, Options(), prepare, run)


if __name__ == "__main__":
    sys.exit(main())
