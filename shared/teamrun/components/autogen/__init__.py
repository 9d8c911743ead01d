"""AutoGen component JSON, read into the canonical form."""
