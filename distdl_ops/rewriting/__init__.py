"""Rewriting: which products and sums of operators equal something cheaper."""
