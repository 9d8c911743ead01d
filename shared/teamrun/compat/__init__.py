"""The import names of other libraries."""
