"""The queue: asks workers to execute runs."""
