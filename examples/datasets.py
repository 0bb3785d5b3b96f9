"""Images of handwritten digits: those that ship with scikit-learn, and MNIST from a folder or from its home."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch

MNIST_HOME = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MNIST_FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
"""The four files, and their SHA-256."""


class DataError(ValueError):
    """The data are not there, or are not what they should be."""


@dataclass(frozen=True)
class Digits:
    """Images of 28 x 28 pixels and the digits they show.

    Attributes
    ----------
    images : tensor of uint8, shape (n, 28, 28)
        Gray values, 0 to 255.
    labels : tensor of int64, shape (n,)
        Digits, 0 to 9.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        if self.images.shape[1:] != (28, 28):
            raise DataError(f"expected images of 28 x 28 pixels, found shape {tuple(self.images.shape)}")
        if len(self.images) != len(self.labels):
            raise DataError(f"found {len(self.images)} images and {len(self.labels)} labels")
        if len(self.labels) == 0 or int(self.labels.max()) > 9:
            raise DataError("expected labels from 0 to 9, and at least one")

    def batch(self, index: torch.Tensor | slice, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images of shape (batch, 1, 28, 28), scaled to about zero mean and unit variance, and labels."""
        images = self.images[index].to(dtype).unsqueeze(1) / 255
        return (images - 0.1307) / 0.3081, self.labels[index]


def load(source: str) -> tuple[Digits, Digits]:
    """Return the digits to train on and those to test on.

    Parameters
    ----------
    source : str
        ``"digits"`` for scikit-learn's 1 797 images, ``"mnist"`` for MNIST as `download` left it, or the path of a
        folder with MNIST's four IDX files, gzipped or not.

    Raises
    ------
    DataError
        In one line: what was looked for, and what was found.
    """
    if source == "digits":
        return scikit_learn_digits()
    folder = cache() if source == "mnist" else Path(source)
    if not folder.is_dir():
        raise DataError(f"--data {source}: there is no such folder")
    return mnist_part(folder, "train"), mnist_part(folder, "t10k")


def scikit_learn_digits() -> tuple[Digits, Digits]:
    """Return scikit-learn's digits, enlarged from 8 x 8 to 28 x 28 pixels; every fifth image is for testing."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.from_numpy(found.images).unsqueeze(1) / 16
    large = torch.nn.functional.interpolate(images, size=(28, 28), mode="bilinear", align_corners=False)
    pixels = (255 * large[:, 0]).round().to(torch.uint8)
    labels = torch.from_numpy(found.target).to(torch.int64)
    test = torch.arange(len(labels)) % 5 == 0
    return Digits(pixels[~test], labels[~test]), Digits(pixels[test], labels[test])


def mnist_part(folder: Path, part: str) -> Digits:
    """Return MNIST's training (``"train"``) or test (``"t10k"``) digits from a folder of IDX files."""
    images = read_idx(_find(folder, f"{part}-images-idx3-ubyte"), axes=3)
    labels = read_idx(_find(folder, f"{part}-labels-idx1-ubyte"), axes=1)
    try:
        return Digits(images, labels.to(torch.int64))
    except DataError as error:
        raise DataError(f"{folder}, {part}: {error}") from None


def _find(folder: Path, name: str) -> Path:
    """Return the file of this name, gzipped or not."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder}: expected a file {name} or {name}.gz, found neither")


def read_idx(path: Path, axes: int) -> torch.Tensor:
    """Return the bytes of an IDX file.

    The format: two zero bytes, 8 for unsigned bytes, the number of axes, the length of each axis in four bytes with the
    highest first, and the entries in row-major order.

    Parameters
    ----------
    path : Path
        The file; gzipped where its name ends in ``.gz``.
    axes : int
        How many axes it must have.

    Returns
    -------
    tensor of uint8

    Raises
    ------
    DataError
        When the file cannot be read, is no such IDX file, or is cut short.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    header = 4 + 4 * axes
    if len(content) < header or content[:4] != bytes([0, 0, 8, axes]):
        raise DataError(f"{path}: not an IDX file of unsigned bytes with {axes} axes, it begins with {content[:4]!r}")
    shape = struct.unpack(f">{axes}I", content[4:header])
    if len(content) != header + math.prod(shape):
        raise DataError(f"{path}: expected {math.prod(shape)} entries for shape {shape}, found {len(content) - header}")
    return torch.frombuffer(bytearray(content[header:]), dtype=torch.uint8).reshape(shape)


def cache() -> Path:
    """Return the folder in which downloads are kept."""
    import pooch

    return Path(pooch.os_cache("distdl-ops")) / "mnist"


def download(home: str = MNIST_HOME) -> None:
    """Fetch MNIST's files that are not in the cache yet, and compare their checksums.

    Raises
    ------
    DataError
        When they cannot be fetched, or are not the right ones.
    """
    import pooch

    registry = {name: f"sha256:{digest}" for name, digest in MNIST_FILES.items()}
    store = pooch.create(path=cache(), base_url=home, registry=registry)
    pooch.get_logger().setLevel("WARNING")
    for name in MNIST_FILES:
        try:
            store.fetch(name)
        except (OSError, ValueError) as error:
            reason = f"{type(error).__name__}: {str(error).partition('(Caused')[0]}"
            raise DataError(
                f"--data mnist: {name} cannot be downloaded ({' '.join(reason.split())}); put MNIST's four IDX files "
                "into a folder by hand and pass it as --data DIR, or use --data digits"
            ) from None
