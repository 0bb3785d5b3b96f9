"""The engine that rewrites expressions, and the rules that hold for all of them."""
