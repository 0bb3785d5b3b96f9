"""Operators given by their entries, by vectors or by functions."""
