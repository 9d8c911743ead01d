"""What makes a team durable: models, tools, agents and people behind the journal."""
