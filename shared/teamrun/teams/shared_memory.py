"""A store of keys and JSON values that all members of a team read and write.

The values are part of the team's state. In a durable run the store needs no record of its own:
every call of its tools follows from recorded answers of models, so a replay makes the same calls.
"""

import json
from typing import Any, Final, cast

from pydantic import BaseModel, Field

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ToolError, Unrecordable, UsageError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.recordable import recordable
from teamrun.tools.base import BaseTool, Tool

__all__ = ["SharedMemory"]

_MOST_KEYS: Final = 1000
_LONGEST_VALUE: Final = 65_536
"""Characters of the JSON text."""


class SharedMemory:
    """Keys and JSON values; at most 1,000 keys, and 65,536 characters of JSON for each value."""

    def __init__(self) -> None:
        self._values: JsonObject = {}

    def set(self, key: str, value: Any) -> None:
        """Store a copy of a value.

        Raises:
            UsageError: The value is not JSON data, or too long; or there are too many keys.
        """
        try:
            kept = recordable(value, exact=True)
        except Unrecordable as error:
            raise UsageError(f"The shared memory takes JSON data: {key!r} has {error}") from error
        if len(json.dumps(kept)) > _LONGEST_VALUE:
            raise UsageError(
                f"The value of {key!r} has more than {_LONGEST_VALUE:,} characters of JSON."
            )
        if key not in self._values and len(self._values) >= _MOST_KEYS:
            raise UsageError(f"The shared memory has {_MOST_KEYS:,} keys already; delete some.")
        self._values[key] = kept

    def get(self, key: str, default: Any = None) -> Any:
        """A copy of the value; `default` if there is none."""
        return recordable(self._values[key]) if key in self._values else default

    def delete(self, key: str) -> None:
        """Forget a key, if it is there."""
        self._values.pop(key, None)

    def keys(self) -> list[str]:
        """The keys, in the order in which they were first set."""
        return list(self._values)

    def save(self) -> JsonObject:
        """A copy of everything."""
        return cast("JsonObject", recordable(self._values))

    def load(self, values: JsonMapping) -> None:
        """Replace everything."""
        self._values = {}
        for key, value in values.items():
            self.set(key, value)

    def tools(self) -> list[Tool]:
        """The tools by which a model reads and writes it."""
        return [_Read(self), _Write(self)]


class _ReadArguments(BaseModel):
    key: str = Field(default="", description="The key; empty for the list of all keys.")


class _WriteArguments(BaseModel):
    key: str = Field(description="The key.", min_length=1, max_length=256)
    value: Any = Field(description="The new value; null deletes the key.")


class _Read(BaseTool[_ReadArguments, str]):
    def __init__(self, memory: SharedMemory) -> None:
        super().__init__(
            _ReadArguments,
            str,
            "read_shared_memory",
            "Read a value that the team shares, or the list of the keys.",
        )
        self._memory = memory

    async def run(self, args: _ReadArguments, cancellation_token: CancellationToken) -> str:
        if not args.key:
            return json.dumps(self._memory.keys())
        if args.key not in (keys := self._memory.keys()):
            raise ToolError(f"There is no key {args.key!r}; there are {keys}.")
        return json.dumps(self._memory.get(args.key), ensure_ascii=False)


class _Write(BaseTool[_WriteArguments, str]):
    def __init__(self, memory: SharedMemory) -> None:
        super().__init__(
            _WriteArguments,
            str,
            "write_shared_memory",
            "Store a value under a key, for all members of the team.",
        )
        self._memory = memory

    async def run(self, args: _WriteArguments, cancellation_token: CancellationToken) -> str:
        if args.value is None:
            self._memory.delete(args.key)
            return f"Deleted {args.key!r}."
        try:
            self._memory.set(args.key, args.value)
        except UsageError as error:
            raise ToolError(str(error)) from error
        return f"Stored {args.key!r}."
