"""A registered tool that executes code, as data."""

from dataclasses import fields
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from teamrun.code.sandbox.limits import SandboxLimits
from teamrun.components.definitions.base import ToolName
from teamrun.json_types import JsonObject
from teamrun.models.scalars import Count, Switch
from teamrun.tools.base import OnLost, OnUnknown, Session

__all__ = ["CodeExecutionEntry"]

_LIMITS: Final = tuple(field.name for field in fields(SandboxLimits) if field.name != "timeout")
_OWN: Final = {"sandbox": ("python", "on_lost", *_LIMITS), "local": ("unsandboxed", "work_dir")}
"""The fields that only one executor has."""


class CodeExecutionEntry(BaseModel):
    """A tool that executes code, as the operator's file describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: ToolName
    type: Literal["code_execution"] = "code_execution"
    executor: Literal["sandbox", "local"] = "sandbox"
    language: Literal["python"] | None = None
    """The only language; the model then writes one text of code in place of blocks."""
    description: str | None = Field(default=None, min_length=1)
    approval: Switch = False
    session: Session = "stateless"
    on_lost: OnLost | None = None
    on_unknown: OnUnknown | None = None
    timeout: Count | None = Field(default=None, le=86_400)
    python: str | None = Field(default=None, pattern="^/")
    cpu_seconds: Count | None = Field(default=None, le=86_400)
    memory_mb: Count | None = Field(default=None, ge=64, le=1 << 20)
    processes: Count | None = Field(default=None, le=10_000)
    open_files: Count | None = Field(default=None, ge=16, le=65_536)
    work_mb: Count | None = Field(default=None, le=1 << 16)
    output_bytes: Count | None = Field(default=None, le=10_000_000)
    max_files: Count | None = Field(default=None, le=1000)
    max_file_mb: Count | None = Field(default=None, le=1000)
    unsandboxed: Switch = False
    work_dir: str | None = Field(default=None, min_length=1)
    where: str = Field(default="", exclude=True)
    """The pointer to it in the file."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.executor == "local" and not self.unsandboxed:
            raise ValueError(
                "'executor: local' executes any code as the worker's user, without a sandbox; if"
                " that is wanted, add 'unsandboxed: true'"
            )
        for executor, names in _OWN.items():
            for name in names:
                if executor != self.executor and getattr(self, name) not in (None, False):
                    raise ValueError(f"{name!r} is for 'executor: {executor}'")
        if self.session == "stateful" and self.executor != "sandbox":
            raise ValueError("'session: stateful' is for 'executor: sandbox'")
        if self.on_lost is not None and self.session != "stateful":
            raise ValueError("'on_lost' is for 'session: stateful'; give both, or leave it out")
        if self.on_unknown is not None and self.executor == "sandbox":
            raise ValueError(
                "'on_unknown' is for 'executor: local'; code in a sandbox has no effect outside,"
                " so it is executed again"
            )
        return self

    @property
    def cache_results(self) -> bool:
        """Whether results are cached: never."""
        return False

    @property
    def limits(self) -> SandboxLimits:
        """The limits of a sandbox."""
        given: dict[str, Any] = {name: getattr(self, name) for name in ("timeout", *_LIMITS)}
        return SandboxLimits(**{name: value for name, value in given.items() if value is not None})

    def content(self) -> JsonObject:
        """The content that the digest covers."""
        return self.model_dump(mode="json", exclude={"name"}, exclude_defaults=True) | {
            "type": self.type
        }
