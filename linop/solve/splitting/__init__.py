"""Methods that split a function into parts, and take the gradient or the proximal map of each."""
