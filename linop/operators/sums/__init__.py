"""Operators that add entries."""
