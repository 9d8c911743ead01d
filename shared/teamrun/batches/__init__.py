"""Many runs of one team as a single durable object."""
