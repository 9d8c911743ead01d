"""One run, executed durably: its log, the engine, the durable team, and what clients ask."""
