"""What code in a sandbox may use."""

from dataclasses import dataclass, fields

__all__ = ["SandboxLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """The limits of one sandbox.

    Raises:
        ValueError: A limit is less than 1.
    """

    timeout: int = 60
    """Maximum seconds of each block of code; one that takes longer is ended, exit code 124."""
    cpu_seconds: int = 60
    """Maximum CPU seconds of each process."""
    memory_mb: int = 512
    """Maximum memory in MiB: of the address space of each process, and of all of them together."""
    processes: int = 32
    """Maximum number of processes and threads at once."""
    open_files: int = 256
    """Maximum number of open files of each process."""
    work_mb: int = 64
    """Size of the work folder in MiB; also of `/tmp`, and of each file."""
    output_bytes: int = 1_000_000
    """Bytes of each block's output that are kept."""
    max_files: int = 20
    """How many files that code has written are kept after each execution."""
    max_file_mb: int = 10
    """Maximum size in MiB of all these files together."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{field.name!r} must be a whole number of at least 1.")
