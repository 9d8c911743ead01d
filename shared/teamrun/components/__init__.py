"""Team definitions as data: the canonical form, the operator's file, inline definitions, building.

`definitions` is the canonical form, `config` reads `teamrun.yaml` into a `registry`, `build`
makes agents and teams of a definition. Nothing is imported from input that a client sent.
"""
