"""The command line; one module per command, each with its help and an example."""
