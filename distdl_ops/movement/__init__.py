"""Data movements: ``M(S, T) = E_T E_S*`` for any two spaces, the ones that have a name, and the ring shift."""
