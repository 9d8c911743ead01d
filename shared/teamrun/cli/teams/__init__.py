"""`teamrun teams`: the registered teams of a server, with versions and aliases."""
