"""Advice: what an expression sends, how long that takes, and what would send less."""
