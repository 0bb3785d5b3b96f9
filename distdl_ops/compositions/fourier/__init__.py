"""Fourier transforms of tensors that are split: transforms along whole axes, and all-to-alls between them."""
