"""The sandbox for code: bubblewrap, limits, and a filter of system calls."""
