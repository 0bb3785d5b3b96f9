"""Operators made of operators: one class, one file."""
