"""The version of this release; the wheel's metadata is made from it."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
