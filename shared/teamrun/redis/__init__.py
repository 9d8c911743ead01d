"""The connection to Redis or Valkey that the queue and the live state share."""
