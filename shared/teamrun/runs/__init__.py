"""Durable runs: the log, the engine, the durable team, and the operations that clients use."""
