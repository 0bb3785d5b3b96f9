"""Operators in one process: one class, one file."""
