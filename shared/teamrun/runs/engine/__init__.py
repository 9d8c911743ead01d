"""The engine, which executes runs: the event loop, the journal, calls, decisions, leases."""
