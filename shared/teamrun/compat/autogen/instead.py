"""What to use in place of the names of AutoGen that are not here; messages and pages say it."""

from collections.abc import Mapping
from typing import Final

__all__ = ["instead"]

_EXECUTOR: Final = (
    "`LocalCommandLineCodeExecutor`, or a class of your own derived from"
    " `teamrun.code.CodeExecutor`"
)
_MEMORY: Final = "`ListMemory`, or a class of your own derived from `teamrun.memory.Memory`"
_OPENAI: Final = "`OpenAIChatCompletionClient`, whose options are its arguments"
_SERVER: Final = "`OpenAIChatCompletionClient(model, base_url=...)`: the server speaks its protocol"
_CLAUDE: Final = (
    "`AnthropicChatCompletionClient`, or `BedrockChatCompletionClient` for Claude on Amazon Bedrock"
)
_FUNCTION: Final = "a Python function as a tool"
_REQUEST: Final = "a Python function that sends the request, as a tool"
_PLAN: Final = "`MagenticOneGroupChat` with agents of your own"
_BROWSER: Final = "a custom agent, which can use your own browser and files"
_SPANS: Final = "the events and metrics of runs"
_SERIAL: Final = "nothing: the actor runtime passes objects as they are"
_ONE_BY_ONE: Final = "one `initiate_chat` after the other; pass the result of one as the next task"

_NAMES: Final[Mapping[str, str]] = {
    "trace_create_agent_span": _SPANS,
    "trace_invoke_agent_span": _SPANS,
    "trace_tool_span": _SPANS,
    "ComponentFromConfig": "`Component`",
    "ComponentSchemaType": "`Component`",
    "ComponentToConfig": "`Component`",
    "AZURE_OPENAI_USER_AGENT": "nothing: the client sends a header of its own",
    "AzureAIChatCompletionClient": "`AzureOpenAIChatCompletionClient`, or "
    "`OpenAIChatCompletionClient(base_url=...)`",
    "MagenticOneCoderAgent": "`AssistantAgent` with instructions to write code",
    "AsyncInputFunc": "`collections.abc.Callable`",
    "InputFuncType": "`collections.abc.Callable`",
    "SyncInputFunc": "`collections.abc.Callable`",
    "a_initiate_chats": _ONE_BY_ONE,
    "initiate_chats": _ONE_BY_ONE,
    "gather_usage_summary": "`cost` of the result of `initiate_chat`",
    "NoEligibleSpeaker": "nothing: it is never raised",
    "UndefinedNextAgent": "nothing: it is never raised",
    "runtime_logging": "the event logger of `autogen_core`",
    "Cache": "nothing: a durable run repeats no call that has completed",
}
_MODULES: Final[Mapping[str, str]] = {
    "autogen": "`OpenAIChatCompletionClient`, or `config_list_from_json` for a `config_list`",
    "autogen.agentchat.contrib": "a class of 0.4 with the same purpose, or a custom agent",
    "autogen.code_utils": "`LocalCommandLineCodeExecutor` of `teamrun.code`",
    "autogen.coding": _EXECUTOR,
    "autogen.io": "`silent=True`, and the messages of the result",
    "autogen.oai": "`OpenAIChatCompletionClient`, or `config_list_from_json` for a `config_list`",
    "autogen_core": _SERIAL,
    "autogen_core.code_executor": "`PythonCodeExecutionTool`, or a Python function as a tool",
    "autogen_core.logging": "`LLMCallEvent` and `ToolCallEvent`; there are no events of messages",
    "autogen_ext.agents": _BROWSER,
    "autogen_ext.agents.azure": "`AssistantAgent` with a model client",
    "autogen_ext.agents.openai": "`AssistantAgent` with a model client",
    "autogen_ext.cache_store": "`InMemoryStore`, or a `CacheStore` of your own",
    "autogen_ext.code_executors": _EXECUTOR,
    "autogen_ext.experimental": _MEMORY,
    "autogen_ext.memory": _MEMORY,
    "autogen_ext.models.anthropic": _CLAUDE,
    "autogen_ext.models.azure": "`AzureOpenAIChatCompletionClient`, whose options are its"
    " arguments",
    "autogen_ext.models.llama_cpp": _SERVER,
    "autogen_ext.models.openai": _OPENAI,
    "autogen_ext.models.semantic_kernel": "a model client of Teamrun",
    "autogen_ext.runtimes": "durable runs, whose workers can be on several machines",
    "autogen_ext.teams": _PLAN,
    "autogen_ext.tools": _FUNCTION,
    "autogen_ext.tools.azure": _REQUEST,
    "autogen_ext.tools.graphrag": _REQUEST,
    "autogen_ext.tools.http": _REQUEST,
    "autogen_ext.tools.mcp": "`McpWorkbench`, or `McpServer` of `teamrun.tools.mcp`",
    "autogen_ext.ui": "`Console`",
}


def instead(module: str, name: str) -> str:
    """What to use in place of a name of AutoGen that is not here.

    Raises:
        KeyError: The name is not of a module of AutoGen.
    """
    found = _NAMES.get(name)
    while found is None:
        found = _MODULES.get(module)
        if found is None:
            module, _, last = module.rpartition(".")
            if not last:
                raise KeyError(name)
    return found
