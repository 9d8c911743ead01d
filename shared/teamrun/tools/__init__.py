"""Tools: Python functions, agents and classes that a model can call by name."""

from teamrun.tools.base import BaseTool, BaseToolWithState, StreamTool, Tool
from teamrun.tools.context import (
    Artifacts,
    MemoryArtifacts,
    ToolContext,
    current_artifacts,
    use_artifacts,
)
from teamrun.tools.schema import ParametersSchema, ToolSchema

__all__ = [
    "Artifacts",
    "BaseTool",
    "BaseToolWithState",
    "MemoryArtifacts",
    "ParametersSchema",
    "StreamTool",
    "Tool",
    "ToolContext",
    "ToolSchema",
    "current_artifacts",
    "use_artifacts",
]
