"""Operators that take, move and repeat entries."""
