"""The log: the entries of a run, their folded state, and the objects beside them."""
