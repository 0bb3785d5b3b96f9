"""A small GPT, trained on Python's own documentation with data, sequence and tensor parallelism on one grid.

Run it on simulated ranks, or on MPI's::

    python examples/gpt.py --ranks 4
    mpiexec -n 4 python examples/gpt.py
    python examples/gpt.py --ranks 8 --sequence 2

The network reads characters and predicts the next one. The grid has three axes. Along ``data`` lie sequences, along
``model`` heads of the attention, hidden features, and characters of the vocabulary. Along ``sequence`` lie the parts of
each sequence, whose keys and values travel round a ring. Where that axis has one rank, the parts lie along ``model``:
they are gathered before what is cut there, and scattered behind. Every data movement is a linear operator, and its
adjoint is checked before training begins.
"""

from __future__ import annotations

import math
import sys

import torch
import training
from torch import nn

from distdl_ops import Copies, DistributedSpace, Grid, Replicated, Role, Split, World
from torch_bridge.nn import CrossEntropyLoss, Embedding, LayerNorm, Linear, TransformerEncoderLayer


class GPT(nn.Module):
    """From characters to the scores of the next ones; its layers are sequential or distributed.

    Parameters
    ----------
    token, position : module
        Embeddings of characters and of their places.
    blocks : list of module
        Layers of the transformer.
    norm, head : module
        The last normalisation, and the linear layer to the scores.
    places : tensor of int64
        Of this rank's characters in the sequence.
    mask : tensor, optional
        What torch's layers want beside the word that they are causal.
    """

    def __init__(
        self,
        token: nn.Module,
        position: nn.Module,
        blocks: list[nn.Module],
        norm: nn.Module,
        head: nn.Module,
        places: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.token, self.position, self.blocks = token, position, nn.ModuleList(blocks)
        self.norm, self.head, self.places, self.mask = norm, head, places, mask

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        """Return the scores: from this rank's part of shape (sequences, length) to one more axis."""
        x = self.token(characters) + self.position(self.places)
        for block in self.blocks:
            x = block(x, self.mask, is_causal=True)
        scores: torch.Tensor = self.head(self.norm(x))
        return scores


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


def sequential_gpt(options: Options, vocabulary: int) -> GPT:
    """Return the network in one process."""
    width, length = options.width, options.length
    return GPT(
        nn.Embedding(vocabulary, width),
        nn.Embedding(length, width),
        [
            nn.TransformerEncoderLayer(width, options.heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(options.layers)
        ],
        nn.LayerNorm(width),
        nn.Linear(width, vocabulary, bias=False),
        torch.arange(length),
        nn.Transformer.generate_square_subsequent_mask(length),
    ).to(getattr(torch, options.dtype))


def distributed_gpt(grid: Grid, options: Options, vocabulary: int) -> tuple[GPT, training.Network]:
    """Return the network on a grid with the axes ``data``, ``sequence`` and ``model``, and what trains it. Collective.

    The layers have the names, and the weights the shapes, of the sequential network.
    """
    ring = "sequence" if grid.axes["sequence"] > 1 else None
    along, other = ("sequence", "model") if ring else ("model", "sequence")
    shape = (options.batch_size, options.length)
    width, dtype = options.width, options.dtype
    parts: dict[str, Role] = {"data": Split(0), along: Split(1), other: Replicated()}
    characters = DistributedSpace(grid, shape, dtype, **parts)
    token = Embedding(vocabulary, width, domain=characters, row_axis="model")
    x = token.codomain

    # Of the embedding of places there is one for all sequences: each rank along ``data`` has a copy for its own.
    places = DistributedSpace(grid, shape[1:], dtype, **{"data": Replicated(), along: Split(0), other: Replicated()})
    there = DistributedSpace(grid, (options.length, width), dtype, **{**places.roles, "data": Copies()})
    position = Embedding(options.length, width, domain=places, codomain=there)
    blocks: list[nn.Module] = [
        TransformerEncoderLayer(
            *(width, options.heads, 4 * width, 0.0, "gelu"),
            norm_first=True,
            domain=x,
            model_axis="model",
            ring_axis=ring,
        )
        for _ in range(options.layers)
    ]
    head = Linear(width, vocabulary, bias=False, domain=x, out_axis="model")
    here = places.from_global(torch.arange(options.length))
    model = GPT(token, position, blocks, LayerNorm(width, domain=x), head, here)

    # The loss has classes first. They lie along ``model``.
    roles: dict[str, Role] = {"data": Split(1), "sequence": Split(2), "model": Split(0)}
    loss = CrossEntropyLoss(domain=DistributedSpace(grid, (vocabulary, *shape), dtype, **roles))
    answers = DistributedSpace(grid, shape, dtype, data=Split(0), sequence=Split(1), model=Replicated())

    def loss_of(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        scores = model(characters.from_global(inputs))
        found: torch.Tensor = loss(scores.movedim(-1, 0), answers.from_global(targets))
        return found

    return model, training.Network(nn.ModuleDict({"model": model, "loss": loss}), loss_of)


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
    begin = sequential_gpt(options, len(vocabulary))
    if world.rank == 0:
        count = sum(weights.numel() for weights in begin.parameters())
        print(f"GPT with {count} parameters on {grid!r}, {world.size} ranks, {options.dtype}\n")
    model, network = distributed_gpt(grid, options, len(vocabulary))
    sequential = training.Network(
        begin, lambda inputs, targets: nn.functional.cross_entropy(begin(inputs).flatten(0, 1), targets.flatten())
    )
    known, unknown = text[: 9 * len(text) // 10], text[9 * len(text) // 10 :]

    def outcome() -> str:
        with torch.no_grad():
            mean = sum(network.loss(*batch).item() for batch in batches(unknown, options, 4)) / 4
        guess = math.log(len(vocabulary))
        return f"loss on text that it has not seen: {mean:.4f}; if all characters were alike, it would be {guess:.4f}"

    title = f"GPT on Python's documentation, {grid!r}, {options.dtype}"
    steps = batches(known, options, options.steps)
    return training.train_both(world, begin, (model, network), sequential, steps, options, title, outcome)


def main(arguments: list[str] | None = None) -> int:
    """Run on MPI's ranks under mpiexec, on simulated ranks otherwise."""
    parser = training.Parser("gpt", str(__doc__), batch_size=16, lr=3e-3)
    for name, default, text in (
        ("data", None, "ranks along which sequences lie (default: as many as there are)"),
        ("sequence", 1, "ranks along which parts of sequences lie, in a ring (default: 1)"),
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
