"""Layouts: which entries of a tensor each coordinate of a grid holds. They know no processes."""
