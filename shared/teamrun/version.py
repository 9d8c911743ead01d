"""The version of this release; the wheel's metadata is made from it."""

__all__ = ["VERSION", "__version__"]

VERSION = "0.1.0"
__version__ = VERSION
