"""Tools with state: all runs of a process share the object, but each run has its own state.

Before a call, the run's recorded state is loaded into the tool. After the call, the state is saved
to be recorded. In between, no other run can call the tool.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from teamrun.json_types import JsonObject
from teamrun.tools.base import BaseToolWithState, Tool

__all__ = ["borrowed"]


class _Loan:
    """The lock on a tool, and the state that it had before its first call."""

    def __init__(self, pristine: JsonObject) -> None:
        self.lock = asyncio.Lock()
        self.pristine = pristine


_loans: WeakKeyDictionary[Tool, _Loan] = WeakKeyDictionary()


@asynccontextmanager
async def borrowed(tool: Tool, state: JsonObject) -> AsyncGenerator[None, None]:
    """Reserve a tool with state for one run; a tool without state is not reserved.

    Args:
        tool: The registered tool.
        state: The run's recorded state, empty at first; updated in place with the new state.
    """
    if not isinstance(tool, BaseToolWithState):
        yield
        return
    if tool not in _loans:
        _loans[tool] = _Loan(dict(await tool.save_state_json()))
    loan = _loans[tool]
    async with loan.lock:
        await tool.load_state_json(state or loan.pristine)
        yield
        kept = await tool.save_state_json()
        state.clear()
        state.update(kept)
