"""The table of AutoGen's names: module, where its names are here, and those that are nowhere.

One row for each module of AutoGen 0.7.5, of 0.2 (`autogen`), and of guides that promise more than
a release has. A row maps modules of ours to names; `Theirs=ours` renames one. The names under
`ABSENT` are known, and importing one is an error that names a page. Importing this module imports
nothing else: modules are imported when one of their names is used.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

__all__ = ["ABSENT", "MODULES", "PAGES", "homes", "packages"]

ABSENT: Final = ""

PAGES: Final[Mapping[str, str]] = {
    "autogen": "docs/how-to/migrate-from-autogen-02.md",
    "autogen_agentchat": "docs/how-to/migrate-from-autogen-04.md",
    "autogen_core": "docs/how-to/migrate-from-autogen-04.md",
    "autogen_ext": "docs/how-to/migrate-from-autogen-04.md",
}
"""The packages, and the page that an error names."""

_CACHE: Final = "teamrun.compat.autogen.cache"
_CLAUDE: Final = "teamrun.compat.autogen.claude_on_bedrock"
_CODE: Final = "teamrun.compat.autogen.code"
_EXTRAS: Final = "teamrun.compat.autogen.extras"
_TYPES: Final = "teamrun.compat.autogen.types"
_V02: Final = "teamrun.compat.autogen.v02"

MODULES: Final[Mapping[str, Mapping[str, str]]] = {
    "autogen_agentchat": {
        _EXTRAS: "EVENT_LOGGER_NAME=AGENTCHAT_EVENTS TRACE_LOGGER_NAME=AGENTCHAT",
    },
    "autogen_agentchat.agents": {
        "teamrun.agents": "ApprovalFuncType ApprovalRequest ApprovalResponse AssistantAgent "
        "BaseChatAgent CodeExecutorAgent MessageFilterAgent MessageFilterConfig PerSourceFilter "
        "SocietyOfMindAgent UserProxyAgent",
    },
    "autogen_agentchat.base": {
        "teamrun.agents": "Handoff",
        "teamrun.conditions": "AndTerminationCondition OrTerminationCondition TerminationCondition",
        "teamrun.core": "ChatAgent Response TaskResult TaskRunner Team",
        "teamrun.errors": "TerminatedException",
    },
    "autogen_agentchat.conditions": {
        "teamrun.conditions": "ComposedTermination ExternalTermination FunctionCallTermination "
        "FunctionalTermination HandoffTermination MaxMessageTermination SourceMatchTermination "
        "StopMessageTermination TextMentionTermination TextMessageTermination TimeoutTermination "
        "TokenUsageTermination",
    },
    "autogen_agentchat.events": {
        "teamrun.core.bus": "AgentCompleted AgentStarted AgentStopped Error EventBus "
        "MessageReceived MessageSent ToolCompleted ToolInvoked",
    },
    "autogen_agentchat.messages": {
        "teamrun.messages": "AgentEvent BaseAgentEvent BaseChatMessage BaseMessage "
        "BaseTextChatMessage ChatMessage CodeExecutionEvent CodeGenerationEvent HandoffMessage "
        "MemoryQueryEvent MessageFactory ModelClientStreamingChunkEvent MultiModalMessage "
        "MultimodalMessage SelectSpeakerEvent SelectorEvent StopMessage StructuredMessage "
        "TextMessage ThoughtEvent ToolCallExecutionEvent ToolCallMessage ToolCallRequestEvent "
        "ToolCallResultMessage ToolCallSummaryMessage ToolResultMessage UserInputRequestedEvent",
        _TYPES: "StructuredContentType StructuredMessageFactory",
    },
    "autogen_agentchat.state": {
        "teamrun.teams.state": "BaseGroupChatManagerState BaseState ChatAgentContainerState "
        "MagenticOneOrchestratorState RoundRobinManagerState SelectorManagerState "
        "SwarmManagerState TeamState",
        _TYPES: "AssistantAgentState SocietyOfMindAgentState",
    },
    "autogen_agentchat.teams": {
        "teamrun.teams": "BaseGroupChat DiGraph DiGraphBuilder DiGraphEdge DiGraphNode GraphFlow "
        "MagenticOneGroupChat RoundRobinGroupChat SelectorGroupChat Swarm",
    },
    "autogen_agentchat.tools": {"teamrun.tools": "AgentTool TeamTool"},
    "autogen_agentchat.ui": {"teamrun.console": "Console UserInputManager"},
    "autogen_agentchat.utils": {_EXTRAS: "content_to_str remove_images"},
    "autogen_core": {
        "teamrun.core.actors": "Agent AgentId AgentInstantiationContext AgentMetadata AgentProxy "
        "AgentRuntime AgentType BaseAgent ClosureAgent ClosureContext DefaultInterventionHandler "
        "DefaultSubscription DefaultTopicId DropMessage InterventionHandler MessageContext "
        "MessageHandlerContext RoutedAgent SingleThreadedAgentRuntime Subscription "
        "SubscriptionInstantiationContext TopicId TypePrefixSubscription TypeSubscription "
        "default_subscription event message_handler rpc type_subscription",
        "teamrun.core": "CancellationToken Component ComponentBase ComponentLoader ComponentModel",
        "teamrun.messages": "FunctionCall Image",
        "teamrun.core.event_log": "EVENT_LOGGER_NAME ROOT_LOGGER_NAME TRACE_LOGGER_NAME",
        _EXTRAS: "ComponentType is_component_class is_component_instance",
        _CACHE: "CacheStore InMemoryStore",
        ABSENT: "ComponentFromConfig ComponentSchemaType ComponentToConfig "
        "JSON_DATA_CONTENT_TYPE MessageSerializer PROTOBUF_DATA_CONTENT_TYPE "
        "UnknownPayload trace_create_agent_span trace_invoke_agent_span trace_tool_span "
        "try_get_known_serializers_for_type",
    },
    "autogen_core.code_executor": {
        "teamrun.messages": "CodeBlock CodeResult",
        "teamrun.code": "CodeExecutor",
        "teamrun.tools": "Alias ImportFromModule",
        "teamrun.tools.imports": "Import",
        ABSENT: "FunctionWithRequirements FunctionWithRequirementsStr with_requirements",
    },
    "autogen_core.config": {"teamrun.components.config_loader": "ConfigLoader"},
    "autogen_core.exceptions": {
        "teamrun.core.actors": "CantHandleException MessageDroppedException NotAccessibleError "
        "UndeliverableException",
    },
    "autogen_core.logging": {
        "teamrun.core.event_log": "LLMCallEvent LLMStreamEndEvent LLMStreamStartEvent "
        "ToolCallEvent",
        ABSENT: "AgentConstructionExceptionEvent DeliveryStage MessageDroppedEvent MessageEvent "
        "MessageHandlerExceptionEvent MessageKind",
    },
    "autogen_core.memory": {
        "teamrun.memory": "ListMemory Memory MemoryContent MemoryMimeType MemoryQueryResult "
        "UpdateContextResult",
    },
    "autogen_core.model_context": {
        "teamrun.context": "BufferedChatCompletionContext ChatCompletionContext "
        "HeadAndTailChatCompletionContext TokenLimitedChatCompletionContext "
        "UnboundedChatCompletionContext",
        _TYPES: "ChatCompletionContextState",
    },
    "autogen_core.models": {
        "teamrun.messages": "AssistantMessage CreateResult FinishReasons=FinishReason "
        "FunctionExecutionResult FunctionExecutionResultMessage LLMMessage RequestUsage "
        "SystemMessage UserMessage",
        "teamrun.models": "ChatCompletionClient ModelFamily ModelInfo",
        _EXTRAS: "validate_model_info",
        _TYPES: "ChatCompletionTokenLogprob ModelCapabilities TopLogprob",
    },
    "autogen_core.tool_agent": {
        "teamrun.tools.tool_agent": "InvalidToolArgumentsException ToolAgent ToolException "
        "ToolExecutionException ToolNotFoundException tool_agent_caller_loop",
    },
    "autogen_core.tools": {
        "teamrun.tools": "BaseStreamTool BaseTool BaseToolWithState FunctionTool "
        "ImageResultContent ParametersSchema StaticStreamWorkbench StaticWorkbench StreamTool "
        "TextResultContent Tool ToolOverride ToolResult ToolSchema Workbench",
    },
    "autogen_core.utils": {_EXTRAS: "extract_json_from_str schema_to_pydantic_model"},
    "autogen_ext": {},
    "autogen_ext.agents.azure": {ABSENT: "AzureAIAgent"},
    "autogen_ext.agents.file_surfer": {ABSENT: "FileSurfer"},
    "autogen_ext.agents.magentic_one": {ABSENT: "MagenticOneCoderAgent"},
    "autogen_ext.agents.openai": {ABSENT: "OpenAIAgent OpenAIAssistantAgent"},
    "autogen_ext.agents.video_surfer": {ABSENT: "VideoSurfer"},
    "autogen_ext.agents.web_surfer": {ABSENT: "MultimodalWebSurfer PlaywrightController"},
    "autogen_ext.auth.azure": {
        "teamrun.models": "AzureTokenProvider",
        "teamrun.models.openai.entra": "TokenProvider",
    },
    "autogen_ext.cache_store.diskcache": {ABSENT: "DiskCacheStore"},
    "autogen_ext.cache_store.redis": {ABSENT: "RedisStore"},
    "autogen_ext.code_executors": {ABSENT: "create_default_code_executor"},
    "autogen_ext.code_executors.azure": {ABSENT: "ACADynamicSessionsCodeExecutor TokenProvider"},
    "autogen_ext.code_executors.docker": {ABSENT: "DockerCommandLineCodeExecutor"},
    "autogen_ext.code_executors.docker_jupyter": {
        ABSENT: "DockerJupyterCodeExecutor DockerJupyterCodeResult DockerJupyterServer",
    },
    "autogen_ext.code_executors.jupyter": {ABSENT: "JupyterCodeExecutor JupyterCodeResult"},
    "autogen_ext.code_executors.local": {"teamrun.code": "LocalCommandLineCodeExecutor"},
    "autogen_ext.experimental.task_centric_memory": {
        ABSENT: "MemoryBankConfig MemoryController MemoryControllerConfig",
    },
    "autogen_ext.memory.canvas": {ABSENT: "TextCanvas TextCanvasMemory"},
    "autogen_ext.memory.chromadb": {
        ABSENT: "ChromaDBVectorMemory ChromaDBVectorMemoryConfig CustomEmbeddingFunctionConfig "
        "DefaultEmbeddingFunctionConfig HttpChromaDBVectorMemoryConfig "
        "OpenAIEmbeddingFunctionConfig PersistentChromaDBVectorMemoryConfig "
        "SentenceTransformerEmbeddingFunctionConfig",
    },
    "autogen_ext.memory.mem0": {ABSENT: "Mem0Memory Mem0MemoryConfig"},
    "autogen_ext.memory.redis": {ABSENT: "RedisMemory RedisMemoryConfig"},
    "autogen_ext.models.anthropic": {
        "teamrun.models": "AnthropicChatCompletionClient",
        _CLAUDE: "AnthropicBedrockChatCompletionClient BedrockInfo",
        ABSENT: "BaseAnthropicChatCompletionClient",
    },
    "autogen_ext.models.azure": {
        "teamrun.models": "AzureOpenAIChatCompletionClient",
        ABSENT: "AzureAIChatCompletionClient AzureAIChatCompletionClientConfig",
    },
    "autogen_ext.models.bedrock": {"teamrun.models": "BedrockChatCompletionClient"},
    "autogen_ext.models.cache": {_CACHE: "CHAT_CACHE_VALUE_TYPE ChatCompletionCache"},
    "autogen_ext.models.google": {
        "teamrun.models": "GoogleChatCompletionClient=OpenAIChatCompletionClient",
    },
    "autogen_ext.models.llama_cpp": {ABSENT: "LlamaCppChatCompletionClient"},
    "autogen_ext.models.ollama": {"teamrun.models": "OllamaChatCompletionClient"},
    "autogen_ext.models.openai": {
        "teamrun.models": "AzureOpenAIChatCompletionClient OpenAIChatCompletionClient",
        ABSENT: "AZURE_OPENAI_USER_AGENT AzureOpenAIClientConfigurationConfigModel "
        "BaseOpenAIChatCompletionClient BaseOpenAIClientConfigurationConfigModel "
        "CreateArgumentsConfigModel OpenAIClientConfigurationConfigModel",
    },
    "autogen_ext.models.replay": {"teamrun.testing": "ReplayChatCompletionClient"},
    "autogen_ext.models.semantic_kernel": {ABSENT: "SKChatCompletionAdapter"},
    "autogen_ext.runtimes.grpc": {
        ABSENT: "GrpcWorkerAgentRuntime GrpcWorkerAgentRuntimeHost "
        "GrpcWorkerAgentRuntimeHostServicer",
    },
    "autogen_ext.teams.magentic_one": {
        ABSENT: "AsyncInputFunc InputFuncType MagenticOne SyncInputFunc",
    },
    "autogen_ext.tools.azure": {
        ABSENT: "AzureAISearchConfig AzureAISearchTool BaseAzureAISearchTool SearchQuery "
        "SearchResult SearchResults VectorizableTextQuery",
    },
    "autogen_ext.tools.code_execution": {
        _CODE: "CodeExecutionInput CodeExecutionResult PythonCodeExecutionTool",
    },
    "autogen_ext.tools.graphrag": {ABSENT: "GlobalSearchTool LocalSearchTool"},
    "autogen_ext.tools.http": {ABSENT: "HttpTool"},
    "autogen_ext.tools.langchain": {ABSENT: "LangChainToolAdapter"},
    "autogen_ext.tools.mcp": {
        "teamrun.tools.mcp": "McpServerParams McpWorkbench SseMcpToolAdapter SseServerParams "
        "StdioMcpToolAdapter StdioServerParams StreamableHttpMcpToolAdapter "
        "StreamableHttpServerParams mcp_server_tools",
        ABSENT: "McpSessionActor create_mcp_server_session",
    },
    "autogen_ext.tools.semantic_kernel": {
        ABSENT: "KernelFunctionFromTool KernelFunctionFromToolSchema",
    },
    "autogen_ext.ui": {ABSENT: "RichConsole"},
    "autogen": {
        _V02: "Agent=ConversableAgent AssistantAgent ChatResult ConversableAgent GroupChat "
        "GroupChatManager UserProxyAgent config_list_from_json filter_config register_function",
        ABSENT: "Cache ChatCompletion Completion ModelClient NoEligibleSpeaker OpenAIWrapper "
        "UndefinedNextAgent a_initiate_chats config_list_from_dotenv config_list_from_models "
        "config_list_gpt4_gpt35 config_list_openai_aoai gather_usage_summary get_config_list "
        "initiate_chats runtime_logging",
    },
    "autogen.agentchat": {
        _V02: "Agent=ConversableAgent AssistantAgent ChatResult ConversableAgent GroupChat "
        "GroupChatManager UserProxyAgent register_function",
        ABSENT: "a_initiate_chats gather_usage_summary initiate_chats",
    },
    "autogen.agentchat.contrib": {
        ABSENT: "agent_builder compressible_agent gpt_assistant_agent llava_agent "
        "math_user_proxy_agent multimodal_conversable_agent retrieve_assistant_agent "
        "retrieve_user_proxy_agent society_of_mind_agent teachable_agent text_analyzer_agent "
        "web_surfer",
    },
    "autogen.agentchat.contrib.capabilities": {ABSENT: "teachability transform_messages"},
    "autogen.cache": {ABSENT: "Cache"},
    "autogen.code_utils": {ABSENT: "execute_code extract_code"},
    "autogen.coding": {
        "teamrun.code": "CodeExecutor LocalCommandLineCodeExecutor",
        "teamrun.messages": "CodeBlock",
        ABSENT: "DockerCommandLineCodeExecutor",
    },
    "autogen.coding.jupyter": {ABSENT: "DockerJupyterServer JupyterCodeExecutor"},
    "autogen.io": {ABSENT: "IOConsole IOStream IOWebsockets"},
    "autogen.oai": {
        _V02: "config_list_from_json filter_config",
        ABSENT: "OpenAIWrapper config_list_from_dotenv config_list_from_models get_config_list",
    },
}
"""The modules, and the names of each."""


def packages() -> frozenset[str]:
    """All modules: those of the table, and those that only contain others."""
    return _packages()


@cache
def _packages() -> frozenset[str]:
    return frozenset(
        ".".join(parts[: end + 1])
        for parts in (name.split(".") for name in MODULES)
        for end in range(len(parts))
    )


@cache
def homes(module: str) -> Mapping[str, tuple[str, str]]:
    """The names of a module of AutoGen: for each, the module here and the name there.

    The module is `ABSENT` for a name that is nowhere.
    """
    return dict(_homes(module))


def _homes(module: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for home, names in MODULES.get(module, {}).items():
        for name in names.split():
            theirs, _, ours = name.partition("=")
            yield theirs, (home, ours or theirs)
