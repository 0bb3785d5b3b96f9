"""Pictures and words: what an expression sends between which ranks, and the matrix of an operator."""
