"""Data movements: ``M(S, T) = E_T E_S*`` for any two spaces, and the ones that have a name."""
