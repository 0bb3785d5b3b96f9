"""Operators between grids of points."""
