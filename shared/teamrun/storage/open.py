"""Makes a store from a URL, as settings name it."""

from teamrun.core.optional import require
from teamrun.storage.address import StoreAddress, read_store_url
from teamrun.storage.base import ObjectStore
from teamrun.storage.file import FileStore
from teamrun.storage.memory import MemoryStore

__all__ = ["open_store"]


def open_store(url: str, *, fsync: bool = False) -> ObjectStore:
    """A store for one of these URLs.

        memory://
        file:///absolute/path                                    or just the path
        s3://bucket/prefix?endpoint=http://host:9000&region=eu-central-1
        az://container/prefix?account=name&endpoint=...

    Args:
        url: Which store; credentials of S3 and Azure are in the environment, never in here.
        fsync: For `file://`: survive the loss of power, too.

    Raises:
        UsageError: The URL is none of these.
        MissingPackage: `obstore` is not installed, for S3 and Azure.
        StorageError: The folder cannot be used.
    """
    address = read_store_url(url)
    if address.kind == "memory":
        return MemoryStore()
    if address.folder is not None:
        return FileStore(address.folder, fsync=fsync)
    return _open_bucket(address)


def _open_bucket(address: StoreAddress) -> ObjectStore:
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
