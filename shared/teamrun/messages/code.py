"""Code that agents write and execute."""

from dataclasses import dataclass
from typing import Literal

from teamrun.messages.events import BaseAgentEvent

__all__ = ["CodeBlock", "CodeExecutionEvent", "CodeGenerationEvent", "CodeResult"]


@dataclass(slots=True)
class CodeBlock:
    """A piece of source code in a named language."""

    code: str
    language: str


@dataclass(slots=True)
class CodeResult:
    """The output of executed code, and its exit status."""

    exit_code: int
    output: str


class CodeGenerationEvent(BaseAgentEvent):
    """A model wrote code that is going to be run."""

    retry_attempt: int
    """0 for the first attempt."""
    content: str
    """The whole text around the code."""
    code_blocks: list[CodeBlock]
    type: Literal["CodeGenerationEvent"] = "CodeGenerationEvent"

    def to_text(self) -> str:
        """The model's text."""
        return self.content


class CodeExecutionEvent(BaseAgentEvent):
    """Code has been run."""

    retry_attempt: int
    result: CodeResult
    type: Literal["CodeExecutionEvent"] = "CodeExecutionEvent"

    def to_text(self) -> str:
        """The output of the code."""
        return self.result.output
