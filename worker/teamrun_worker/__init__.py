"""The worker: consumes run references from the queue and executes the runs, many at once."""
