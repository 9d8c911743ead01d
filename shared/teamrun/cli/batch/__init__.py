"""`teamrun batch`: many runs of a team as one object, one module per command."""
