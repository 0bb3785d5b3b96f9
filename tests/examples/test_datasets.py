"""The images that LeNet-5 learns from are read in full, or refused in one line."""

import gzip
import hashlib
import http.server
import struct
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

pytestmark = pytest.mark.serial


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """Return a folder with a tiny MNIST."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 5), ("t10k", 3)):
        images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = generator.integers(0, 10, count, dtype=np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return tmp_path


def test_digits_that_ship() -> None:
    """Scikit-learn's 1 797 digits, of 28 x 28 pixels, every fifth for testing."""
    train, test = datasets.load("digits")
    assert (len(train.labels), len(test.labels)) == (1437, 360)
    assert train.images.shape == (1437, 28, 28)
    assert train.images.max() > 250
    assert sorted(set(test.labels.tolist())) == list(range(10))
    images, labels = train.batch(torch.arange(7), torch.float64)
    assert images.shape == (7, 1, 28, 28)
    assert images.dtype == torch.float64
    assert labels.shape == (7,)


def test_idx_files_gzipped_or_not(mnist: Path) -> None:
    """Both are read, to the byte."""
    train, test = datasets.load(str(mnist))
    assert (len(train.labels), len(test.labels)) == (5, 3)
    expected = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(train.images.numpy(), expected)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (IMAGES, None, "found neither"),
        (IMAGES, b"", "not an IDX file"),
        (IMAGES, b"P5 28 28 255 and so on and on", "not an IDX file"),
        (IMAGES, idx(np.zeros(5, np.uint8)), "with 3 axes"),
        (IMAGES, idx(np.zeros((5, 28, 28), np.uint8))[:-1], "expected 3920 entries"),
        (IMAGES, idx(np.zeros((5, 28, 28), np.uint8)) + b"x", "expected 3920 entries"),
        (IMAGES, idx(np.zeros((4, 28, 28), np.uint8)), "4 images and 5 labels"),
        (IMAGES, idx(np.zeros((5, 32, 32), np.uint8)), "28 x 28"),
        (LABELS, gzip.compress(idx(np.full(5, 10, np.uint8)), mtime=0), "labels from 0 to 9"),
        (LABELS, b"not gzipped", "cannot be read"),
        (LABELS, gzip.compress(idx(np.zeros(5, np.uint8)), mtime=0)[:-9], "cannot be read"),
    ],
)
def test_truncated_and_foreign_files(mnist: Path, name: str, content: bytes | None, complaint: str) -> None:
    """One line names the file or folder, and what was expected."""
    (mnist / name).unlink()
    if content is not None:
        (mnist / name).write_bytes(content)
    with pytest.raises(datasets.DataError, match=complaint) as caught:
        datasets.load(str(mnist))
    assert str(mnist) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there() -> None:
    """The option is repeated."""
    with pytest.raises(datasets.DataError, match="--data nowhere: there is no such folder"):
        datasets.load("nowhere")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        """Say nothing."""


@pytest.fixture
def home(mnist: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of a server on this machine that has the tiny MNIST, with an empty cache."""
    for path in mnist.iterdir():
        if path.suffix != ".gz":
            Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
    digests = {name: hashlib.sha256((mnist / name).read_bytes()).hexdigest() for name in datasets.MNIST_FILES}
    monkeypatch.setattr(datasets, "MNIST_FILES", digests)
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets, "cache", lambda: cache)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=mnist)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_download(home: str) -> None:
    """Files are fetched once, with their checksums, and read from the cache."""
    datasets.download(home)
    train, _ = datasets.load("mnist")
    assert len(train.labels) == 5
    datasets.download("http://127.0.0.1:9/")  # nothing is left to fetch


def test_a_download_with_another_checksum(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused."""
    monkeypatch.setattr(datasets, "MNIST_FILES", dict.fromkeys(datasets.MNIST_FILES, "0" * 64))
    with pytest.raises(datasets.DataError, match="hash"):
        datasets.download(home)


@pytest.mark.usefixtures("home")
def test_a_download_without_a_network() -> None:
    """The error says what to do, in one line."""
    with pytest.raises(datasets.DataError, match="pass it as --data DIR, or use --data digits") as caught:
        datasets.download("http://127.0.0.1:9/")
    assert "\n" not in str(caught.value)
