"""Transfer: how bytes go from rank to rank. Which pieces go where, how they are packed, and by which collective."""
