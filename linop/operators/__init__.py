"""Operators in one process, one class a file, in folders by family."""
