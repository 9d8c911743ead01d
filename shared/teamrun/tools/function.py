"""Python functions as tools."""

import functools
import inspect
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import BaseModel, PydanticUserError

from teamrun.core import event_log
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.core.patience import Expired, within
from teamrun.errors import ToolError, ToolTimeout
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.tools.arguments import checked_arguments
from teamrun.tools.base import BaseTool, Effects, OnLost, OnUnknown, Session
from teamrun.tools.context import ToolContext
from teamrun.tools.signature import function_name, inner_function, read_signature, without_schema
from teamrun.tools.threads import run_in_thread

if TYPE_CHECKING:
    from teamrun.tools.imports import Import

__all__ = ["MAX_YIELDED", "FunctionTool"]

MAX_YIELDED: Final = 100_000
"""How many values a generator may yield in one call."""

_NO_ITERATORS: Final = frozenset({type(None), bool, int, float, str, list, dict})
"""Types of most results. To check one against two abstract classes costs as much as a call."""


class FunctionTool(BaseTool[BaseModel, Any]):
    """A typed Python function as a tool; its arguments' schema is made from the annotations.

    A parameter is described to the model by `Annotated[int, "what it means"]` or a pydantic
    `Field`. A parameter annotated `CancellationToken` or `ToolContext` is filled in here and
    hidden from the model. Functions that are not async run in a thread; when such a call is
    cancelled, the thread runs on and its result is dropped. The result of a generator, async or
    not, is the list of the values that it yields.

    Args:
        func: The function, method, partial or callable object.
        description: The description for the model; by default the function's docstring.
        name: The tool's name for the model; by default the function's name.
        global_imports: Imports that AutoGen executes before the source in a component of the tool.
        strict: The provider enforces the schema; no argument may have a default.
        timeout: A call that takes longer fails with a `ToolTimeout`.
        effects: The side effects of a call; see `Tool.effects`.
        on_unknown: Action if it is unknown whether a `write` call was made.
        session: Whether a call needs data of earlier calls in this process; see `Tool.session`.
        on_lost: Action if a `stateful` session is lost.
        needs_approval: A person has to agree to each call in a run.
        tags: By which programs find the tool; see `Capabilities`.

    Raises:
        UsageError: A parameter has no annotation, a type without a JSON schema, or is `*args` or
            `**kwargs`.
        ValueError: `strict`, and an argument has a default.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        description: str | None = None,
        name: str | None = None,
        global_imports: "Sequence[Import]" = (),
        strict: bool = False,
        *,
        timeout: timedelta | None = None,
        effects: Effects = "none",
        on_unknown: OnUnknown = "tell",
        session: Session = "stateless",
        on_lost: OnLost = "tell",
        needs_approval: bool = False,
        tags: Collection[str] = (),
    ) -> None:
        signature = read_signature(func)
        try:
            super().__init__(
                signature.args_type,
                signature.returns,
                name or function_name(func),
                inspect.getdoc(inner_function(func)) or "" if description is None else description,
                strict,
            )
        except PydanticUserError as error:
            hints = {name: signature.hints[name] for _, name in signature.arguments}
            raise without_schema(function_name(func), hints, error) from error
        self._func = func
        self._global_imports = tuple(global_imports)
        self._is_async = inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(
            type(func).__call__
        )
        self._signature = signature
        self._timeout = timeout
        self.effects = effects
        self.on_unknown = on_unknown
        self.session = session
        self.on_lost = on_lost
        self.needs_approval = needs_approval
        self.tags = tags
        self._state: JsonObject = {}

    @property
    def takes_context(self) -> bool:
        """Whether the function has a parameter for its `ToolContext`."""
        return any(kind is ToolContext for _, kind in self._signature.injected)

    async def run_json(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> Any:
        """Check the arguments and call the function.

        Raises:
            ToolError: The arguments do not match, the call took longer than its timeout, or a
                generator yielded more than `MAX_YIELDED` values.
            Exception: Any exception of the function.
        """
        checked = checked_arguments(self._args_type, args, tool=self.name)
        kwargs = self._kwargs(checked, cancellation_token, call_id, context)
        if self._timeout is None:
            value = await self._invoke(kwargs, cancellation_token)
        else:
            value = await self._invoke_within(self._timeout, kwargs, cancellation_token)
        if event_log.is_wanted():
            event_log.log_tool_call(self.name, args, self.return_value_as_string(value))
        return value

    async def run(
        self, args: BaseModel, cancellation_token: CancellationToken | None = None
    ) -> Any:
        """Call the function with arguments that have been checked."""
        kwargs = self._kwargs(args, cancellation_token, None, None)
        if self._timeout is None:
            return await self._invoke(kwargs, cancellation_token)
        return await self._invoke_within(self._timeout, kwargs, cancellation_token)

    def _kwargs(
        self,
        args: BaseModel,
        cancellation_token: CancellationToken | None,
        call_id: str | None,
        context: ToolContext | None,
    ) -> JsonObject:
        signature, values = self._signature, vars(args)
        kwargs = {parameter: values[field] for field, parameter in signature.arguments}
        if signature.injected:
            filled_in: dict[type, Any] = {
                CancellationToken: cancellation_token or CancellationToken(),
                ToolContext: context or ToolContext(state=self._state, call_id=call_id or ""),
            }
            kwargs |= {parameter: filled_in[kind] for parameter, kind in signature.injected}
        return kwargs

    async def _invoke_within(
        self,
        timeout: timedelta,
        kwargs: JsonObject,
        cancellation_token: CancellationToken | None,
    ) -> Any:
        seconds = timeout.total_seconds()
        try:
            return await within(seconds, self._invoke(kwargs, cancellation_token))
        except Expired as error:
            raise ToolTimeout(
                f"Tool {self.name!r} did not finish within {seconds:g} seconds."
            ) from error

    async def _invoke(
        self, kwargs: JsonObject, cancellation_token: CancellationToken | None
    ) -> Any:
        if self._is_async:
            value = await self._func(**kwargs)
        else:
            with cancelled_by(cancellation_token):
                value = await run_in_thread(functools.partial(self._call_in_thread, kwargs))
            if inspect.isawaitable(value):  # for example a lambda around a coroutine function
                value = await value
        if type(value) in _NO_ITERATORS:
            return value
        if isinstance(value, Iterator):  # not in a thread: an async function returned it
            return self._collected(cast("Iterator[Any]", value))
        if isinstance(value, AsyncIterator):
            with cancelled_by(cancellation_token):
                return await self._collected_async(cast("AsyncIterator[Any]", value))
        return value

    def _call_in_thread(self, kwargs: JsonObject) -> Any:
        value = self._func(**kwargs)
        return (
            self._collected(cast("Iterator[Any]", value)) if isinstance(value, Iterator) else value
        )

    def _collected(self, values: Iterator[Any]) -> list[Any]:
        collected = list(itertools.islice(values, MAX_YIELDED + 1))
        self._check_count(collected)
        return collected

    async def _collected_async(self, values: AsyncIterator[Any]) -> list[Any]:
        collected: list[Any] = []
        closed_at_the_end = (
            aclosing(cast("AsyncGenerator[Any, None]", values))
            if inspect.isasyncgen(values)
            else nullcontext()
        )
        async with closed_at_the_end:
            async for value in values:
                collected.append(value)
                self._check_count(collected)
        return collected

    def _check_count(self, collected: Sequence[Any]) -> None:
        if len(collected) > MAX_YIELDED:
            raise ToolError(
                f"Tool {self.name!r} yielded more than {MAX_YIELDED:,} values. Let it stop "
                "earlier, or write them to a file and return its name."
            )

    async def save_state_json(self) -> JsonMapping:
        """The data of the function in `ToolContext.state` outside a run."""
        return dict(self._state)

    async def load_state_json(self, state: JsonMapping) -> None:
        """Continue with that state."""
        self._state = dict(state)
