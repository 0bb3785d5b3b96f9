"""From sequential modules to distributed ones: what becomes of each layer and of each function."""
