"""The imports of every library of this kind: asyncio and pydantic, with one model."""

import asyncio

from pydantic import BaseModel

__all__ = ["Model", "asyncio"]


class Model(BaseModel):
    """The first model, which loads the most."""

    name: str
