"""A store in a bucket: S3, compatible servers, and Azure Blob, all through obstore.

obstore's blocking calls run in threads of this store. Its coroutines would save a fifth of the
CPU time, but with 0.12 they sometimes abort the process if it exits soon after a call.
"""

import asyncio
import os
import re
import secrets
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    JoinError,
    PreconditionError,
)
from obstore.store import AzureStore, S3Store

from teamrun.errors import (
    InvalidKey,
    NotFound,
    ObjectChanged,
    StorageError,
    Unavailable,
    UnusableStore,
    UsageError,
)
from teamrun.storage.address import check_endpoint
from teamrun.storage.aws import AwsProfile, aws_endpoint, boto3_credentials, read_profile
from teamrun.storage.base import CHUNK_BYTES, ObjectStat
from teamrun.storage.batches import check_range, delete_each
from teamrun.storage.keys import check_key, check_prefix
from teamrun.storage.pinned import Pinned

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import AzureConfig, ClientConfig, RetryConfig, S3Config
    from obstore.store import ObjectStore as Bucket

__all__ = ["BucketStore", "map_bucket_error", "open_azure", "open_s3"]

T = TypeVar("T")

_THREADS = 64
"""Maximum number of requests in flight."""
_PAGE = 1000
_REGIONS = {"AWS_REGION", "AWS_DEFAULT_REGION"}
_QUERY = re.compile(r"\?\S*")
_URL = re.compile(r"\S*://\S*")


# A server that is down is detected after about a second, one that hangs after these retries.
_RETRIES: "RetryConfig" = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
}


def open_s3(
    bucket: str,
    *,
    prefix: str = "",
    endpoint: str | None = None,
    region: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> "BucketStore":
    """Open a store in an S3 bucket, with the same sources of credentials as the AWS tools.

    These are `AWS_ACCESS_KEY_ID` and related variables, then the profile `AWS_PROFILE` or
    `default`, then the role of the machine.

    Args:
        bucket: The name of the bucket.
        prefix: The folder of the bucket for all objects.
        endpoint: The server, if it is not Amazon's; by default that of `AWS_ENDPOINT_URL`. It must
            honour `If-None-Match: *`.
        region: The region of the bucket.
        environ: Replaces the environment of the process; obstore reads the latter in any case.

    Raises:
        UsageError: The profile of `AWS_PROFILE` does not exist or has no credentials, the endpoint
            is not a URL, or obstore rejects the value of a variable.
    """
    environ = os.environ if environ is None else environ
    profile = read_profile(environ)
    endpoint = endpoint or aws_endpoint(environ) or (profile.endpoint if profile else None)
    config: S3Config = {
        "virtual_hosted_style_request": endpoint is None,
    }
    if endpoint is not None:
        check_endpoint(endpoint, source="the endpoint (AWS_ENDPOINT_URL, or that of the profile)")
        config["endpoint"] = endpoint
    if region is not None:
        config["region"] = region
    elif profile and profile.region and not _REGIONS & environ.keys():
        config["region"] = profile.region
    provider = None
    if profile and not environ.get("AWS_ACCESS_KEY_ID"):
        provider = _add_profile(config, profile)
    with _refusals("AWS"):
        store, bulk = (
            S3Store(
                bucket,
                prefix=prefix or None,
                config=config | {"disable_bulk_delete": is_single},
                client_options=_client(endpoint),
                retry_config=_RETRIES,
                credential_provider=provider,
            )
            for is_single in (True, False)
        )
    return BucketStore(store, bulk=bulk, name=f"the bucket {bucket!r}")


def _add_profile(config: "S3Config", profile: AwsProfile) -> "Boto3CredentialProvider | None":
    if profile.needs_boto3:
        return boto3_credentials(profile)
    if profile.access_key_id and profile.secret_access_key:
        config["access_key_id"] = profile.access_key_id
        config["secret_access_key"] = profile.secret_access_key
        if profile.session_token:
            config["session_token"] = profile.session_token
    return None


def open_azure(
    container: str, *, prefix: str = "", account: str | None = None, endpoint: str | None = None
) -> "BucketStore":
    """Open a store in an Azure Blob Storage container, with credentials from the environment.

    These are `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_TOKEN`, a service principal
    (`AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`, `AZURE_TENANT_ID`), a workload identity
    (`AZURE_FEDERATED_TOKEN_FILE`), and else the managed identity of the machine or, by
    `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`, that of App Service and Functions. `AZURE_CLIENT_ID`
    alone chooses a user-assigned identity.

    Args:
        container: The name of the container.
        prefix: The folder of the container for all objects.
        account: The storage account; by default that of `AZURE_STORAGE_ACCOUNT_NAME`.
        endpoint: The server, if it is not Microsoft's.

    Raises:
        UsageError: The account is unknown, the endpoint is not a URL, or obstore rejects the value
            of a variable.
    """
    config: AzureConfig = {}
    if endpoint is not None:
        config["endpoint"] = endpoint
    endpoint = endpoint or os.environ.get("AZURE_STORAGE_ENDPOINT")
    if endpoint is not None:
        check_endpoint(endpoint, source="the endpoint (AZURE_STORAGE_ENDPOINT)")
    if account is not None:
        config["account_name"] = account
    with _refusals("AZURE"):
        store = AzureStore(
            container,
            prefix=prefix or None,
            config=config,
            client_options=_client(endpoint),
            retry_config=_RETRIES,
        )
    # obstore sends even a single deletion as a batch (Blob Batch, up to 256 for each request).
    return BucketStore(
        store,
        bulk=store,
        name=f"the container {container!r}",
        rights=_AZURE_RIGHTS,
        check_new=_check_azure_key,
    )


def _check_azure_key(key: str) -> None:
    """Check the key of a blob that is written.

    Source: https://learn.microsoft.com/en-us/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata#blob-names

    Raises:
        InvalidKey: The key is invalid, or Azure would store the blob under another one.
    """
    check_key(key)
    if "\\" in key or key.endswith(".") or "./" in key:
        raise InvalidKey(
            f"{key!r} is not a valid key of Azure Blob Storage, which takes a backslash for a "
            "slash, and may drop a dot at the end of a segment"
        )


@contextmanager
def _refusals(variables: str) -> Generator[None]:
    """Turn what obstore refuses before any request into a usage error."""
    try:
        yield
    except (BaseError, ValueError) as error:
        if "Account must be specified" in str(error):
            reason = "the storage account is not known: add ?account=NAME to the URL, or set "
            reason += "AZURE_STORAGE_ACCOUNT_NAME"
        else:  # the further lines repeat the configuration
            text = _URL.sub("(a URL)", str(error).partition("\n")[0])[:200]
            reason = f"{text} Look at the variables {variables}_*"
        raise UsageError(
            f"The store (TEAMRUN_STORE_URL) cannot be used: {reason}.", setting="store"
        ) from None


def _client(endpoint: str | None) -> "ClientConfig":
    return {
        "allow_http": endpoint is not None and endpoint.startswith("http://"),
        "connect_timeout": timedelta(seconds=3),
        "timeout": timedelta(seconds=20),
    }


_S3_RIGHTS: Mapping[str, str] = {
    "read": "s3:GetObject, and s3:ListBucket (without it, S3 denies an object that does not exist)",
    "write": "s3:PutObject",
    "list": "s3:ListBucket",
    "delete": "s3:DeleteObject",
}
_AZURE_RIGHTS = dict.fromkeys(_S3_RIGHTS, "the role Storage Blob Data Contributor")

_ABSENT = "probe/absent"
"""The key of no object."""

_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_DENIED = re.compile(r"status code: 40[13]\b")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
"""Codes of S3 for credentials that were valid.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

_NO_BUCKET = ("<Code>NoSuchBucket</Code>", "<Code>ContainerNotFound</Code>")
"""The codes of a missing bucket in the body of a 404 from S3 and Azure Blob Storage."""


def map_bucket_error(error: Exception, what: str) -> StorageError:
    """Convert an error of obstore; the caller raises the result."""
    # A query string may contain a signature.
    reason = _QUERY.sub("", str(error).partition("\n")[0])[:500]
    if isinstance(error, FileNotFoundError):
        return NotFound(f"{what}: the object or bucket does not exist: {reason}")
    if isinstance(error, GenericError | JoinError | OSError):
        return Unavailable(f"{what}: {reason}")
    return StorageError(f"{what}: {reason}")


class BucketStore:
    """Implements `ObjectStore` over a bucket of obstore.

    Args:
        bucket: A configured obstore store; all objects are below its prefix, if it has one.
        name: The name to use in error messages.
        bulk: The same bucket, with one request for the deletion of many objects. Not every server
            supports it, so it is not used for a single object.
        rights: What a user needs for each of `_S3_RIGHTS`, for error messages.
        check_new: Checks the key of an object that is written.
    """

    def __init__(
        self,
        bucket: "Bucket",
        *,
        name: str,
        bulk: "Bucket | None" = None,
        rights: Mapping[str, str] = _S3_RIGHTS,
        check_new: Callable[[str], None] = check_key,
    ) -> None:
        self._bucket = bucket
        self._check_new = check_new
        self._bulk = bulk
        self._name = name
        self._rights = rights
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="teamrun-bucket")
        self._proven = False
        self._proving = asyncio.Lock()

    async def put_new(self, key: str, data: bytes) -> bool:
        """Create the object; returns False and changes nothing if it already exists.

        The first call checks that the server honours put-if-absent.

        Raises:
            UnusableStore: The server does not honour it; nothing was written under `key`.
        """
        self._check_new(key)
        if not self._proven:
            await self._prove()
        return await self._put_new(key, data)

    async def _put_new(self, key: str, data: bytes) -> bool:
        return await self._call(lambda: self._create(key, data), "write", key)

    async def put(self, key: str, data: bytes) -> None:
        """Create or replace the object, whole or not at all."""
        self._check_new(key)
        await self._call(lambda: obstore.put(self._bucket, key, data), "write", key)

    async def get(self, key: str) -> bytes:
        """The bytes of the object.

        Raises:
            NotFound: The object does not exist.
        """
        check_key(key)
        data = await self._call(lambda: self._read(key), "read", key)
        if data is None:
            raise NotFound(f"no object under {key!r}", key=key)
        return data

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The objects in the order of `keys`, read together; None for a missing one."""
        return await asyncio.gather(*map(self._find, keys))

    async def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of the object from `start` to before `end`, in chunks.

        Each chunk is a request. One response for all would have to end within the timeout of the
        client, however slowly its reader takes the bytes.

        Raises:
            NotFound: The object does not exist.
            StorageError: `start` is after the last byte, and not 0.
        """
        check_key(key)
        head = await self._call(lambda: obstore.head(self._bucket, key), "read", key)
        end = check_range(key, start, end, size=head["size"])
        for place in range(start, end, CHUNK_BYTES):
            stop = min(place + CHUNK_BYTES, end)
            part = partial(obstore.get_range, self._bucket, key, start=place, end=stop)
            yield (await self._call(part, "read", key)).to_bytes()

    async def pin(self, key: str) -> Pinned:
        """Find an object, to read it as it is now; see `ObjectReader`."""
        check_key(key)
        head = await self._call(lambda: obstore.head(self._bucket, key), "read", key)
        return Pinned(key, head["e_tag"] or "", head["size"])

    async def pinned(self, found: Pinned) -> AsyncGenerator[bytes, None]:
        """The bytes of that object; each chunk is a request with `If-Match`.

        Raises:
            ObjectChanged: The object has been replaced or deleted.
        """
        for place in range(0, found.size, CHUNK_BYTES):
            part = partial(self._part, found, place, min(place + CHUNK_BYTES, found.size))
            yield await self._call(part, "read", found.key)

    def _part(self, found: Pinned, start: int, end: int) -> bytes:
        options: GetOptions = {"range": (start, end), "if_match": found.tag or None}
        try:
            return obstore.get(self._bucket, found.key, options=options).bytes().to_bytes()
        except (PreconditionError, FileNotFoundError) as error:
            raise ObjectChanged(f"{found.key!r} has changed", key=found.key) from error

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Keys below the folder `prefix`, greater than `after`, sorted."""
        check_prefix(prefix)
        return [stat.key for stat in await self.stats(prefix, after=after, limit=limit)]

    async def stats(self, prefix: str, *, after: str = "", limit: int = 1000) -> "list[ObjectStat]":
        """What `list` returns, with sizes and modification times."""
        check_prefix(prefix)
        return await self._call(lambda: _page(self._bucket, prefix, after, limit), "list", prefix)

    async def delete(self, key: str) -> None:
        """Remove the object; does nothing if it does not exist."""
        check_key(key)
        with suppress(NotFound):
            await self._call(lambda: obstore.delete(self._bucket, key), "delete", key)

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Remove the objects, with one request for many if the server supports it.

        Raises:
            StorageError: Some could not be removed; `data["keys"]` lists them.
        """
        for key in keys:
            check_key(key)
        done, bulk = 0, self._bulk
        # If the server has no such request, or refuses some keys (of which the error names one),
        # the rest is deleted one by one, and each key that cannot be deleted is named.
        with suppress(StorageError):
            while bulk is not None and done < len(keys):
                part = [*keys[done : done + _PAGE]]
                await self._call(partial(obstore.delete, bulk, part), "delete", None)
                done += len(part)
        await delete_each(self, keys[done:], at_once=_THREADS)

    async def check(self) -> None:
        """Check that the bucket can be read and, the first time, that it honours put-if-absent.

        Raises:
            Unavailable: The bucket does not respond.
            UnusableStore: It ignores the condition, or does not exist.
            StorageError: It rejects the credentials, or they lack a right.
        """
        if self._proven:
            # S3 answers 404 only to those who may read and list, and 403 to all others.
            await self._find(_ABSENT)
        else:
            await self._prove()

    async def _prove(self) -> None:
        async with self._proving:
            if self._proven:  # by another caller, while this one waited
                return
            key = f"probe/{secrets.token_hex(8)}"
            try:
                await self._prove_with(key)
            finally:
                with suppress(StorageError):
                    await self.delete(key)
            self._proven = True

    async def _prove_with(self, key: str) -> None:
        # The response to the first put may be lost; its retry then reports that the key exists.
        await self._put_new(key, b"1")
        if await self._put_new(key, b"2") or await self.get(key) != b"1":
            raise UnusableStore(
                f"{self._name} ignores `If-None-Match: *`, so two workers could write the "
                "same entry of a run: use a server that honours conditional writes"
            )

    async def close(self) -> None:
        """Release the threads; requests in flight complete on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, act: Callable[[], T], verb: str, key: str | None) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, act)
        except (BaseError, OSError, ValueError) as error:
            if _is_bucket_missing(error):
                raise UnusableStore(f"{self._name} does not exist: create it first") from error
            what = f"cannot {verb} {'objects' if key is None else repr(key)}"
            if (refused := self._refused(error, what, self._rights[verb])) is not None:
                raise refused from error
            raise map_bucket_error(error, what) from error

    def _refused(self, error: Exception, what: str, right: str) -> StorageError | None:
        """The error for a request that was refused because of its credentials; None for others."""
        text = str(error)  # obstore has no exception of its own for a list that was denied
        code = found[1] if (found := _CODE.search(text)) else "no code"
        if code in _EXPIRED:
            return Unavailable(
                f"{what}: the credentials for {self._name} have expired ({code}). Renew them, and "
                "restart the process if they are in its environment.",
                reason=code,
            )
        if _DENIED.search(text) is None:
            return None
        return StorageError(
            f"{what}: access to {self._name} was denied ({code}). Check the credentials; their "
            f"user or role needs {right}.",
            reason=code,
        )

    async def _find(self, key: str) -> bytes | None:
        check_key(key)
        return await self._call(lambda: self._read(key), "read", key)

    def _create(self, key: str, data: bytes) -> bool:
        try:
            obstore.put(self._bucket, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError as error:
            # S3 also responds with 409 if two conditional writes conflict and neither has won yet.
            # obstore reports that as "exists".
            try:
                obstore.head(self._bucket, key)
            except FileNotFoundError:
                raise Unavailable(f"another write of {key!r} is in progress") from error
            return False
        return True

    def _read(self, key: str) -> bytes | None:
        try:
            return obstore.get(self._bucket, key).bytes().to_bytes()
        except FileNotFoundError as error:
            if _is_bucket_missing(error):
                raise
            return None


def _is_bucket_missing(error: Exception) -> bool:
    """Whether the bucket does not exist, which obstore reports as a missing object."""
    return any(code in str(error) for code in _NO_BUCKET)


def _page(bucket: "Bucket", prefix: str, after: str, limit: int) -> list[ObjectStat]:
    stream = obstore.list(  # pyright: ignore[reportUnknownMemberType] - an overload needs Arrow
        bucket, prefix or None, offset=after or None, chunk_size=min(limit, _PAGE)
    )
    found: list[ObjectStat] = []
    # `offset` is a hint: Azurite, and Azure before version 2026-02-06, ignore its `startFrom`.
    for chunk in stream:
        found += [
            ObjectStat(each["path"], each["size"], each["last_modified"])
            for each in chunk
            if each["path"] > after
        ]
        if len(found) >= limit:
            break
    return found[:limit]
