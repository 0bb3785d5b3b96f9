"""Correlations, and the differences that are made of them."""
