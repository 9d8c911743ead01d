"""The parts of `teamrun serve`: a lock, a supervisor, and the processes below it."""
