"""Opens the store that a URL in the settings names; only its kind of store is imported."""

from pathlib import Path
from typing import TYPE_CHECKING

from teamrun.core.optional import require
from teamrun.errors import NotFound, StorageError, Unavailable, UsageError
from teamrun.storage.address import StoreAddress, read_store_url
from teamrun.storage.base import ObjectStore

if TYPE_CHECKING:
    from teamrun.storage.bucket import BucketStore
    from teamrun.storage.pinned import ObjectReader

__all__ = ["open_reader", "open_store"]


def open_store(url: str, *, fsync: bool = False, make: bool = True) -> ObjectStore:
    """Open a store by one of these URLs.

        memory://
        file:///absolute/path                                    or just the path
        s3://bucket/prefix?endpoint=http://host:9000&region=eu-central-1
        az://container/prefix?account=name&endpoint=...

    Args:
        url: The URL. Credentials for S3 and Azure come from the environment, never from the URL.
        fsync: For `file://`, make writes survive a power failure.
        make: For `file://`, create the folder if it is missing. Commands that only read do not.

    Raises:
        UsageError: The URL is invalid, or its store cannot be used.
        MissingPackage: `obstore` is not installed, for S3 and Azure.
        Unavailable: The folder cannot be used now; it may be later.
    """
    address = read_store_url(url)
    if address.kind == "memory":
        from teamrun.storage.memory import MemoryStore

        return MemoryStore()
    if address.folder is not None:
        return _open_folder(address.folder, fsync=fsync, make=make)
    return _open_bucket(address)


def open_reader(address: StoreAddress) -> "ObjectReader":
    """Open a folder or a bucket that others write to, for reading.

    Raises:
        UsageError: It cannot be used.
        MissingPackage: `obstore` is not installed, for S3 and Azure.
    """
    if not address.folder:
        return _open_bucket(address)
    from teamrun.storage.pinned import FolderReader

    return FolderReader(address.folder)


def _open_folder(folder: Path, *, fsync: bool, make: bool) -> ObjectStore:
    from teamrun.storage.file import FileStore

    try:
        return FileStore(folder, fsync=fsync, make=make)
    except Unavailable:
        raise
    except NotFound:
        raise UsageError(
            f"There is no folder {str(folder)!r}: correct the data folder (--data-dir or "
            "TEAMRUN_DATA_DIR) or the store URL (--store-url or TEAMRUN_STORE_URL).",
            setting="store",
        ) from None
    except StorageError as error:
        raise UsageError(
            f"The store (TEAMRUN_STORE_URL) cannot be used: {error}. Choose another folder.",
            setting="store",
        ) from error


def _open_bucket(address: StoreAddress) -> "BucketStore":
    require("obstore", extra="s3", needed_by="A store in a bucket", lowest=(0, 8))
    from teamrun.storage.bucket import open_azure, open_s3

    option = dict(address.options).get
    if address.kind == "s3":
        return open_s3(
            address.bucket,
            prefix=address.prefix,
            endpoint=option("endpoint"),
            region=option("region"),
        )
    return open_azure(
        address.bucket,
        prefix=address.prefix,
        account=option("account"),
        endpoint=option("endpoint"),
    )
