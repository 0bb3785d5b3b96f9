"""Fourier and cosine transforms, and what they make diagonal."""
