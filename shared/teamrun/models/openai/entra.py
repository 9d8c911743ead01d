"""Tokens of Microsoft Entra ID for models on Azure: cached, and renewed before they end.

`azure-identity` finds the identity: environment variables, workload identity, managed identity, or
the developer's own (https://learn.microsoft.com/python/api/overview/azure/identity-readme). Its
credentials block, so they are asked in a thread of their own. They are imported with the first
request for a token, not with this module.
"""

import asyncio
import contextlib
import copy
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextvars import copy_context
from datetime import timedelta
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from teamrun.core.clock import Clock, SystemClock
from teamrun.core.optional import require
from teamrun.errors import ModelError, UsageError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.causes import without_secrets
from teamrun.models.openai.entra_errors import (
    hidden_secrets,
    no_token,
    not_in_time,
    provider_failed,
)

__all__ = ["AzureTokenProvider", "TokenProvider", "scope_of", "shared_provider"]

T = TypeVar("T")

TokenProvider = Callable[[], str | Awaitable[str]]
"""Returns a Microsoft Entra token; called before each request, off the event loop."""

logger = logging.getLogger(__name__)

_COMPONENT: Final = "autogen_ext.auth.azure.AzureTokenProvider"
_PUBLIC_SCOPE: Final = "https://cognitiveservices.azure.com/.default"
_SCOPES: Final = {
    ".azure.us": "https://cognitiveservices.azure.us/.default",
    ".azure.cn": "https://cognitiveservices.azure.cn/.default",
}
"""By the end of the host: https://learn.microsoft.com/azure/azure-government/ and China's."""
_RENEW_BEFORE: Final = timedelta(minutes=5)
"""As `azure-identity` does, if a token does not say when to renew it."""
_RENEW_PAUSE: Final = timedelta(seconds=30)
"""Between attempts at a renewal, while the old token is still valid."""
_LAST_USE: Final = timedelta(seconds=10)
"""A token that ends sooner could end on its way."""
_PATIENCE: Final = timedelta(seconds=90)
"""The longest retries of `azure-identity`, those of the metadata service, take 75 seconds."""


def scope_of(endpoint: str) -> str:
    """The scope of tokens for the resource at that address, by the cloud that it belongs to."""
    host = urlsplit(endpoint).hostname or ""
    return next((scope for end, scope in _SCOPES.items() if host.endswith(end)), _PUBLIC_SCOPE)


class AzureTokenProvider:
    """Tokens of an `azure-identity` credential, for `azure_ad_token_provider=`.

    A token is kept until shortly before its end. It is renewed in the background while it is still
    valid; calls wait only if there is no valid one. Calls that wait at the same time share one
    request. Named as AutoGen's class of the same purpose.

    Args:
        credential: A credential of `azure.identity` or `azure.identity.aio`; by default
            `DefaultAzureCredential`, which tries all ways in turn.
        scopes: What the token is for; by default Azure's models in the public cloud.
        timeout: How long a call waits for a token.
        clock: For tests.
    """

    def __init__(
        self,
        credential: Any = None,
        *scopes: str,
        timeout: timedelta = _PATIENCE,
        clock: Clock | None = None,
    ) -> None:
        require("azure-identity", extra="azure", needed_by=type(self).__name__)
        self._credential = credential
        self._scopes = scopes or (_PUBLIC_SCOPE,)
        self._timeout = timeout
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._noted: Any = None
        self._token: Any = None
        self._asked: float = 0
        self._failures: list[tuple[str, Exception]] = []
        self._fetches = _Shared(self._fetch)

    @classmethod
    def from_component(cls, component: JsonMapping) -> "AzureTokenProvider":
        """The provider that AutoGen's component JSON of this class describes.

        Raises:
            UsageError: It describes something else.
        """
        config: Any = component.get("config")
        known = component.get("provider") == _COMPONENT and isinstance(config, Mapping)
        config = cast(JsonMapping, config if known else {})
        scopes = cast("list[object]", config.get("scopes") or [])
        named = type(scopes) is list and all(isinstance(scope, str) for scope in scopes)
        if config.get("provider_kind") != "DefaultAzureCredential" or not named:
            raise UsageError(
                f"azure_ad_token_provider= takes a function, or the component {_COMPONENT} with "
                "the config {'provider_kind': 'DefaultAzureCredential', 'scopes': [...]}.",
                argument="azure_ad_token_provider",
            )
        return cls(None, *map(str, scopes))

    def as_component(self) -> JsonObject:
        """The provider as AutoGen's component JSON.

        Raises:
            UsageError: It has a credential of its own.
        """
        if self._credential is not None:
            raise UsageError(
                "A component cannot express the credential of an AzureTokenProvider.",
                argument="azure_ad_token_provider",
            )
        config = {"provider_kind": "DefaultAzureCredential", "scopes": list(self._scopes)}
        return {
            "provider": _COMPONENT,
            "component_type": "token_provider",
            "version": 1,
            "component_version": 1,
            "label": type(self).__name__,
            "config": config,
        }

    async def __call__(self) -> str:
        """A valid token.

        Raises:
            ModelError: None could be had; `retryable` if the same request may succeed later.
        """
        now = self._clock.now().timestamp()
        token = self._token
        if token is None or token.expires_on - now < _LAST_USE.total_seconds():
            token = await _within(self._timeout, self._fetches.join())
        elif now >= self._renewal(token):
            self._fetches.begin()
        return token.token

    def _renewal(self, token: Any) -> float:
        """When a token should be renewed, in seconds since 1970."""
        due = getattr(token, "refresh_on", None)
        due = due or token.expires_on - _RENEW_BEFORE.total_seconds()
        return max(due, self._asked + _RENEW_PAUSE.total_seconds())

    async def _fetch(self) -> Any:
        self._asked = self._clock.now().timestamp()
        before = self._token
        try:
            token = await self._ask(before)
        except Exception as error:
            failure = self._failure(error)
            logger.warning(
                "No new token of Microsoft Entra ID",
                extra={"action": "model.token_failed", "retryable": failure.retryable},
            )
            raise failure from without_secrets(error, hidden_secrets())
        self._token = token
        return token

    async def _ask(self, before: Any) -> Any:
        if self._credential is not None:
            ask: Any = _method(self._credential)
            if inspect.iscoroutinefunction(ask):  # of azure.identity.aio
                return await ask(*self._scopes)
        return await _in_thread(lambda: self._asked_in_turn(before))

    def _asked_in_turn(self, before: Any) -> Any:
        with self._lock:  # event loops of several threads share the token
            if self._token is not before:
                return self._token
            self._failures.clear()
            if self._noted is None:
                self._noted = _noted(self._credential, self._failures)
            self._token = _method(self._noted)(*self._scopes)
            return self._token

    def _failure(self, error: Exception) -> ModelError:
        name = type(self._credential).__name__ if self._credential else "DefaultAzureCredential"
        failure = no_token(
            self._failures or [(name, error)],
            had_one=self._token is not None,
            is_renewed=self._credential is None,
        )
        if self._credential is None:
            self._noted = None  # a new one has no failure to repeat
        return failure


def shared_provider(provider: TokenProvider) -> Callable[[], Awaitable[str]]:
    """A provider of the caller's own, asked off the event loop, once for calls at the same time.

    Args:
        provider: A function, or a coroutine function; what it returns is not cached.
    """
    if isinstance(provider, AzureTokenProvider):
        return provider
    is_async = inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(
        getattr(provider, "__call__", None)  # noqa: B004 - an object whose call is a coroutine
    )

    async def ask() -> str:
        try:
            given = provider() if is_async else await _in_thread(provider)
            token = await given if inspect.isawaitable(given) else given
        except Exception as error:
            raise provider_failed(error) from without_secrets(error, hidden_secrets())
        if not isinstance(token, str) or not token:
            raise ModelError("azure_ad_token_provider returned no token: it must return a text.")
        return token

    return _Shared(ask).join


class _Shared:
    """A coroutine function whose calls at the same time, in one event loop, are one call."""

    def __init__(self, call: Callable[[], Awaitable[Any]]) -> None:
        self._call = call
        self._tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[Any]] = {}

    async def join(self) -> Any:
        """The result of the call under way, or of a new one."""
        try:
            return await asyncio.shield(self.begin())  # a cancelled call does not end it
        except ModelError as error:  # each call adds its own attempts to the error
            raise ModelError(error.message, **error.data) from error

    def begin(self) -> "asyncio.Task[Any]":
        """The call under way, or a new one."""
        loop = asyncio.get_running_loop()
        task = self._tasks.get(loop)
        if task is None or task.done():
            task = self._tasks[loop] = loop.create_task(self._run())
            task.add_done_callback(lambda done: self._ended(loop, done))
        return task

    async def _run(self) -> Any:
        return await self._call()

    def _ended(self, loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Any]") -> None:
        if self._tasks.get(loop) is task:
            del self._tasks[loop]
        if not task.cancelled():
            task.exception()  # read, so that asyncio does not report it where nobody waits


class _Noted:
    """A credential of a chain that keeps its failure, of which the chain only keeps the text."""

    def __init__(self, credential: Any, failures: list[tuple[str, Exception]]) -> None:
        self._credential = credential
        self._failures = failures
        self._credential_name = getattr(
            credential, "_credential_name", type(credential).__name__
        )  # used by the chain for its own message

    def get_token_info(self, *scopes: str, **options: Any) -> Any:
        """A token of the credential."""
        try:
            return _method(self._credential)(*scopes, **options)
        except Exception as error:
            self._failures.append((self._credential_name, error))
            raise


def _noted(credential: Any, failures: list[tuple[str, Exception]]) -> Any:
    """The credential, by default that of Azure; if it is a chain, one that notes its failures."""
    from azure.identity import ChainedTokenCredential, DefaultAzureCredential

    credential = credential or DefaultAzureCredential()
    if isinstance(credential, ChainedTokenCredential):
        members: Any = tuple(_Noted(one, failures) for one in credential.credentials)
        credential = copy.copy(credential)
        credential.credentials = members
    return credential


def _method(credential: Any) -> Callable[..., Any]:
    """The way to get a token that also says when it should be renewed, if there is one."""
    return getattr(credential, "get_token_info", None) or credential.get_token


async def _within(patience: timedelta, waiting: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return await waiting
    except TimeoutError as error:
        raise not_in_time(patience) from error


async def _in_thread(call: Callable[[], T]) -> T:
    """The result of a call in a thread of its own.

    Not `asyncio.to_thread`: a program that ends would wait for a request that hangs.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(act: Callable[[Any], None], value: object) -> None:
        if not future.done():
            act(value)

    def run() -> None:
        try:
            act, value = future.set_result, call()
        except BaseException as error:
            act, value = future.set_exception, error
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(settle, act, value)

    context = copy_context()
    threading.Thread(target=context.run, args=(run,), name="teamrun-token", daemon=True).start()
    return await future
