"""Tools: Python functions, agents and classes that a model can call by name."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.tools.agent_tool import AgentTool, TaskRunnerTool, TeamTool
    from teamrun.tools.approval import ApprovalFunc, ApprovedTool
    from teamrun.tools.base import (
        BaseStreamTool,
        BaseTool,
        BaseToolWithState,
        StreamTool,
        Tool,
    )
    from teamrun.tools.capabilities import Capabilities
    from teamrun.tools.context import (
        Artifacts,
        MemoryArtifacts,
        ToolContext,
        current_artifacts,
        use_artifacts,
    )
    from teamrun.tools.function import FunctionTool
    from teamrun.tools.imports import Alias, ImportFromModule
    from teamrun.tools.result import ImageResultContent, TextResultContent, ToolResult
    from teamrun.tools.schema import ParametersSchema, ToolSchema
    from teamrun.tools.workbench import (
        StaticStreamWorkbench,
        StaticWorkbench,
        StreamWorkbench,
        ToolOverride,
        Workbench,
    )

__all__ = [
    "AgentTool",
    "Alias",
    "ApprovalFunc",
    "ApprovedTool",
    "Artifacts",
    "BaseStreamTool",
    "BaseTool",
    "BaseToolWithState",
    "Capabilities",
    "FunctionTool",
    "ImageResultContent",
    "ImportFromModule",
    "MemoryArtifacts",
    "ParametersSchema",
    "StaticStreamWorkbench",
    "StaticWorkbench",
    "StreamTool",
    "StreamWorkbench",
    "TaskRunnerTool",
    "TeamTool",
    "TextResultContent",
    "Tool",
    "ToolContext",
    "ToolOverride",
    "ToolResult",
    "ToolSchema",
    "Workbench",
    "current_artifacts",
    "use_artifacts",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".agent_tool": ("AgentTool", "TaskRunnerTool", "TeamTool"),
        ".approval": ("ApprovalFunc", "ApprovedTool"),
        ".base": ("BaseStreamTool", "BaseTool", "BaseToolWithState", "StreamTool", "Tool"),
        ".capabilities": ("Capabilities",),
        ".context": (
            "Artifacts",
            "MemoryArtifacts",
            "ToolContext",
            "current_artifacts",
            "use_artifacts",
        ),
        ".function": ("FunctionTool",),
        ".imports": ("Alias", "ImportFromModule"),
        ".result": ("ImageResultContent", "TextResultContent", "ToolResult"),
        ".schema": ("ParametersSchema", "ToolSchema"),
        ".workbench": (
            "StaticStreamWorkbench",
            "StaticWorkbench",
            "StreamWorkbench",
            "ToolOverride",
            "Workbench",
        ),
    },
)
