"""What is written: the entries of a run, their state, and the objects beside them."""
