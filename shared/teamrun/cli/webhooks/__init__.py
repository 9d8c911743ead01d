"""`teamrun webhooks`: registered webhooks, and events for a receiver on this machine."""
