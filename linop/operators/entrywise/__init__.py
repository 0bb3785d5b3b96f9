"""Operators that map each entry by itself."""
