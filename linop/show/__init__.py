"""How an operator is shown: as a tree, a formula, a picture of its matrix."""
