"""Team definitions as data, in rooms. Each room imports only those before it.

`definitions` is the canonical form. `reading` and `autogen` convert YAML and AutoGen JSON to it;
`building` creates agents and teams from it. `registry` contains the models, tools and teams of a
process, `team_file` reads `teamrun.yaml` into a registry, and `catalog` finds a tenant's teams.
A name in a client's input is never imported.
"""
