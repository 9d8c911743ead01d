"""State that processes share and may lose: live messages, leases, views."""
