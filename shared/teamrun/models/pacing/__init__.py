"""The pace of the calls to one model: how many at once, how many per minute, and pauses."""
