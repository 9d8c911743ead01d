"""Live teams, tools and model clients, made of definitions."""
