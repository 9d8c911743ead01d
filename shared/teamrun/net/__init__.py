"""The guard for every URL that comes from input: allowed destinations, and a client that checks."""
