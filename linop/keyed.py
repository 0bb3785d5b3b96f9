"""Equality by content: two objects are equal where their classes and their keys are.

Keys nest: that of an expression contains its parts. Both functions walk keys with a list of their own, so that no depth
is too deep. Equality never rests on hashes, which may collide.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from numbers import Complex
from typing import Any, TypeVar, final

import numpy as np

K = TypeVar("K", bound="Keyed")


class Keyed(ABC):
    """What never changes, and is equal to whatever has the same class and the same key. Abstract."""

    _hash: int

    @abstractmethod
    def _key(self) -> tuple[object, ...]:
        """Return what makes two objects of this class equal; it may contain others, and tuples of them."""

    @final
    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and _equal(self, other))

    @final
    def __hash__(self) -> int:
        """Return the hash of the class and the key; it is kept, as a string keeps its own."""
        if "_hash" not in self.__dict__:
            _find_hash(self)
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: not the hash, which differs from process to process."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    @final
    def __copy__(self: K) -> K:
        """Return the object itself: it never changes."""
        return self

    @final
    def __deepcopy__(self: K, memo: object) -> K:
        """Return the object itself: it never changes, and may stand for processes that have no copies."""
        return self


def _equal(first: object, second: object) -> bool:
    """Compare two objects by their keys; each pair once, however often it occurs in them."""
    todo = [(first, second)]
    compared: dict[tuple[int, int], tuple[object, object]] = {}  # kept, so that no other object takes an identity
    while todo:
        a, b = todo.pop()
        if a is b:
            continue
        if isinstance(a, tuple):
            if not isinstance(b, tuple) or len(a) != len(b):
                return False
            todo.extend(zip(a, b, strict=True))
        elif isinstance(a, Keyed):
            if type(a) is not type(b):
                return False
            pair = id(a), id(b)
            if pair not in compared:
                compared[pair] = a, b
                todo.append((a._key(), b._key()))
        elif a != b:
            return False
    return True


def _find_hash(root: Keyed) -> None:
    """Let an object know its hash: those in its key first."""
    todo = [(root, root._key())]
    while todo:
        node, key = todo[-1]
        unknown = _without_hash(key)
        if unknown:
            todo.extend((each, each._key()) for each in unknown)
        else:
            node._hash = hash((type(node), key))
            todo.pop()


def fingerprint(root: Keyed) -> str:
    """Return a text that equal objects have in all processes, where their keys consist of numbers, texts and bytes.

    What else there is in a key (functions, say, whose contents cannot be compared) counts by its class only.

    Examples
    --------
    >>> from linop import Diagonal
    >>> fingerprint(2 * Diagonal([1.0, 3.0])) == fingerprint(2 * Diagonal([1.0, 3.0]))
    True
    >>> fingerprint(2 * Diagonal([1.0, 3.0])) == fingerprint(2 * Diagonal([1.0, 4.0]))
    False
    """
    known: dict[int, str] = {}
    todo = [root]
    while todo:
        node = todo[-1]
        key = node._key()
        unknown = [each for each in _keyed_in(key) if id(each) not in known]
        if unknown:
            todo.extend(unknown)
            continue
        words = repr((type(node).__qualname__, _in_words(key, node, known)))
        known[id(node)] = hashlib.sha256(words.encode()).hexdigest()[:16]
        todo.pop()
    return known[id(root)]


def _in_words(item: object, node: Keyed, known: dict[int, str]) -> object:
    """Return what is said of an item of an object's key, those in it being known."""
    if isinstance(item, tuple):
        return tuple(_in_words(each, node, known) for each in item)
    if isinstance(item, Keyed):
        return known[id(item)]
    if isinstance(item, bytes):
        return hashlib.sha256(item).hexdigest()
    if isinstance(item, Complex) and item != id(node):  # an object that is equal to itself only has that for a key
        return complex(item)
    return str(item) if item is None or isinstance(item, str | np.dtype) else type(item).__qualname__


def _keyed_in(key: tuple[object, ...]) -> list[Keyed]:
    """Return the objects in a key."""
    todo, keyed = [key], list[Keyed]()
    while todo:
        for item in todo.pop():
            if isinstance(item, tuple):
                todo.append(item)
            elif isinstance(item, Keyed):
                keyed.append(item)
    return keyed


def _without_hash(key: tuple[object, ...]) -> list[Keyed]:
    """Return the objects in a key whose hashes are not known yet."""
    return [each for each in _keyed_in(key) if "_hash" not in each.__dict__]
