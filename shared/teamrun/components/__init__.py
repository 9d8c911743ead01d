"""Team definitions as data, in rooms of which each imports only those before it.

`definitions` is the canonical form; `reading` and `autogen` read what people and AutoGen write into
it; `building` makes live agents and teams of it. `registry` is what one process can execute,
`team_file` reads `teamrun.yaml` into one, and `catalog` finds the teams of a tenant. Nothing is
imported from input that a client sent.
"""
