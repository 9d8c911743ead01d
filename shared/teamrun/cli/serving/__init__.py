"""What `teamrun serve` is made of: a lock, a supervisor, and the processes below it."""
