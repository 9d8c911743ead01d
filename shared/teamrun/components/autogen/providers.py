"""Provider strings of AutoGen component JSON, each with the corresponding type.

The match is exact: a provider is looked up in these tables and never imported.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from teamrun.components.definitions.contexts import CONTEXTS
from teamrun.components.definitions.kinds import AGENTS, CONDITIONS, DELEGATES, TEAMS
from teamrun.components.definitions.table import PartT, Table
from teamrun.components.definitions.tools import TOOLS
from teamrun.core.component.table import COMPONENTS
from teamrun.models.providers import PLANNED, PROVIDERS

__all__ = ["KINDS", "MODELS", "UNSUPPORTED", "Kind", "Known"]

Kind = Literal[
    "team",
    "agent",
    "condition",
    "context",
    "workbench",
    "tool",
    "memory",
    "structured_message",
    "model",
]
"""The kind of a component."""

_AGENTCHAT: Final = "autogen_agentchat"
_EXT: Final = "autogen_ext"


class Known(NamedTuple):
    """A component that is converted."""

    type: str
    """The canonical type name."""
    version: int = 1
    """The highest version of the component that can be read."""


def _known(table: Table[PartT]) -> dict[str, Known]:
    return {path: Known(row.type, row.version) for path, row in table.by_provider.items()}


MODELS: Final = frozenset(
    path for row in (*PROVIDERS.values(), *PLANNED.values()) for path in row.autogen
)
"""Model clients: each is replaced by the operator's profile for the same model."""

KINDS: Final[Mapping[Kind, Mapping[str, Known]]] = {
    "team": _known(TEAMS),
    "agent": _known(AGENTS),
    "condition": _known(CONDITIONS),
    "context": {row.autogen: Known(name) for name, row in CONTEXTS.items()},
    "workbench": {
        COMPONENTS[name].provider: Known("static")
        for name in ("StaticWorkbench", "StaticStreamWorkbench")
    },
    "tool": _known(DELEGATES)
    | {row.autogen: Known(name) for name, row in TOOLS.items() if row.autogen},
    "memory": {COMPONENTS["ListMemory"].provider: Known("list")},
    "structured_message": {f"{_AGENTCHAT}.messages.StructuredMessageFactory": Known("schema")},
    "model": {path: Known("profile") for path in MODELS},
}
"""Components that are converted, by kind; those of teams, agents and conditions are their rows."""

UNSUPPORTED: Final[Mapping[str, str]] = {
    f"{_EXT}.agents.web_surfer.MultimodalWebSurfer": "an assistant_agent with a registered tool",
    f"{_EXT}.agents.file_surfer.FileSurfer": "an assistant_agent with a registered tool",
    f"{_EXT}.agents.video_surfer.VideoSurfer": "an assistant_agent with a registered tool",
    f"{_EXT}.agents.openai.OpenAIAgent": "an assistant_agent with a model profile",
    f"{_EXT}.agents.openai.OpenAIAssistantAgent": "an assistant_agent with a model profile",
    f"{_EXT}.agents.azure.AzureAIAgent": "an assistant_agent with a model profile",
    f"{_EXT}.memory.canvas.TextCanvasMemory": "a ListMemory, or a tool that looks things up",
    f"{_EXT}.memory.chromadb.ChromaDBVectorMemory": "a ListMemory, or a tool that looks things up",
    f"{_EXT}.memory.redis.RedisMemory": "a ListMemory, or a tool that looks things up",
    f"{_EXT}.memory.mem0.Mem0Memory": "a ListMemory, or a tool that looks things up",
    f"{_EXT}.tools.http.HttpTool": "the name of a registered tool",
    f"{_EXT}.tools.mcp.McpWorkbench": "the names of registered tools",
    f"{_EXT}.tools.mcp.StdioMcpToolAdapter": "the name of a registered tool",
    f"{_EXT}.tools.mcp.SseMcpToolAdapter": "the name of a registered tool",
    f"{_EXT}.tools.mcp.StreamableHttpMcpToolAdapter": "the name of a registered tool",
    f"{_EXT}.tools.code_execution.PythonCodeExecutionTool": "the name of a registered tool",
    f"{_EXT}.tools.azure.AzureAISearchTool": "the name of a registered tool",
    f"{_EXT}.tools.graphrag.GlobalSearchTool": "the name of a registered tool",
    f"{_EXT}.tools.graphrag.LocalSearchTool": "the name of a registered tool",
    f"{_AGENTCHAT}.conditions.FunctionalTermination": "a condition of another class",
    f"{_EXT}.models.llama_cpp.LlamaCppChatCompletionClient": "the name of a model profile",
    f"{_EXT}.models.semantic_kernel.SKChatCompletionAdapter": "the name of a model profile",
    f"{_EXT}.models.replay.ReplayChatCompletionClient": "the name of a scripted model profile",
    f"{_EXT}.models.cache.ChatCompletionCache": "the name of a model profile",
}
"""Components that AutoGen has and that are not converted, each with what to write instead."""
