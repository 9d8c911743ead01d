"""Live teams, tools and model clients, built from definitions."""
