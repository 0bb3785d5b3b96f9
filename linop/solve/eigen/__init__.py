"""Eigenvalues, singular values, and estimates from samples."""
