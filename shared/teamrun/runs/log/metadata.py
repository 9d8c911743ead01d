"""Key-value pairs of clients, in runs and webhooks."""

from typing import Annotated

from pydantic import Field, StringConstraints

__all__ = ["Metadata"]

Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16),
]
"""Up to 16 key-value pairs of the client, by which runs can be filtered."""
