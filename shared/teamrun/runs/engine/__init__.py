"""How a run is executed: the event loop, the journal, calls, decisions, leases."""
