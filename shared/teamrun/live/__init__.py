"""Volatile shared state: live messages, leases, views."""
