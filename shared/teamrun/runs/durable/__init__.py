"""The durable team: models, tools, agents and people behind the journal."""
