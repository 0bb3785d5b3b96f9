"""Operators that need the neighbours of an entry: windows, and the halos that bring them."""
