"""Operators made of operators, side by side: one class, one file."""
