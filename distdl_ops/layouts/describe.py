"""Layouts in few words: what stands beside pictures and tables."""

from __future__ import annotations

from distdl_ops.layouts.layout import Layout


def role_in_words(layout: Layout, name: str) -> str:
    """Return the role along a grid axis; of balanced intervals that are all as much wider, the widths of the halo.

    Examples
    --------
    >>> from distdl_ops.layouts.roles import Split
    >>> role_in_words(Layout({"p": 2}, (8,), {"p": Split(0, [(-1, 6), (3, 10)])}), "p")
    'Split(0) with halo 1, 2'
    """
    return layout.describe(name)


def in_words(layout: Layout) -> str:
    """Return a layout: the shape of the tensor, and its roles.

    Examples
    --------
    >>> from distdl_ops.layouts.roles import Split
    >>> in_words(Layout({"p": 2, "q": 1}, (8, 3), {"p": Split(1), "q": Split(0, [(0, 9)])}))
    '(8, 3) p=Split(1) q=Split(0) with halo 0, 1'
    """
    return " ".join([str(layout.shape), *(f"{name}={role_in_words(layout, name)}" for name in layout.axes)])


def counted(number: int, what: str) -> str:
    """Return a number and a noun, in the plural where it has one.

    Examples
    --------
    >>> counted(1, "message"), counted(3, "message")
    ('1 message', '3 messages')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def short(text: str, length: int) -> str:
    """Return a text that is no longer than that.

    Examples
    --------
    >>> short("AllGather(p) @ ReduceScatter(p)", 16)
    'AllGather(p) ...'
    """
    return text if len(text) <= length else f"{text[: length - 4].rstrip()} ..."
