"""The calls of the API, one module per resource: functions that make requests, and send nothing."""
