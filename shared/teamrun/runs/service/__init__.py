"""The operations on runs that clients use."""
