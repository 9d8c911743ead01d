"""Team definitions as data: the canonical form, its digests, model profiles."""
