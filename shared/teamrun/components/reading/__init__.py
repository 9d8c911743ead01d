"""Definitions as people write them, checked and read into the canonical form."""
