"""What a worker process and the API do before their other imports, and when they are ready."""

import gc

__all__ = ["ready"]

# As in `teamrun_worker.__main__`; when this is imported, because imports are what is measured.
gc.disable()


def ready() -> None:
    """The process is ready; as in `teamrun_worker.process`."""
    gc.freeze()
    gc.enable()
