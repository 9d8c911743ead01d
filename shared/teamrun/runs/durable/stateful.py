"""Tools that keep state of their own: shared by all runs of a process, and yet each run's own.

Before a call the tool is given the state that the run has on record; after it, its state is taken
for the record. Meanwhile no other run may call it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from teamrun.tools.base import BaseToolWithState, Tool

__all__ = ["borrowed"]


class _Loan:
    """Whose turn it is to call a tool, and the state that it had before anybody did."""

    def __init__(self, pristine: dict[str, Any]) -> None:
        self.lock = asyncio.Lock()
        self.pristine = pristine


_loans: WeakKeyDictionary[Tool, _Loan] = WeakKeyDictionary()


@asynccontextmanager
async def borrowed(tool: Tool, state: dict[str, Any]) -> AsyncGenerator[None, None]:
    """Lend a tool with state of its own to one run; other tools are lent to all at once.

    Args:
        tool: As it is registered.
        state: What the run has on record, empty at first; afterwards what is to be recorded.
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
