"""Shortcuts around a public method, not to be taken if the method was replaced."""

__all__ = ["is_replaced"]


def is_replaced(owner: object, name: str, original: object) -> bool:
    """Whether a method of `owner` is not the original function.

    A subclass may override it. Tracing libraries replace it in the class or in one object, at any
    time, so this is asked at each call.
    """
    # Not by `vars(owner)`: CPython 3.11 reads all attributes of an object more slowly from then on.
    return getattr(getattr(owner, name), "__func__", None) is not original
