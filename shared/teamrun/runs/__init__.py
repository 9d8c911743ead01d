"""Everything about executing one run durably: the log, the journal, the engine, the service."""
