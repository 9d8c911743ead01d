"""Agents that execute code, built from the canonical form."""

from teamrun.agents.code_executor import CodeExecutorAgent
from teamrun.code.tool import CodeExecutionTool, ToolExecutor
from teamrun.components.building.teams import TeamBuilder, build_context, given
from teamrun.components.definitions.code_executor import CodeExecutorDefinition
from teamrun.errors import DefinitionError

__all__ = ["build_code_executor"]


def build_code_executor(
    definition: CodeExecutorDefinition, path: str, builder: TeamBuilder
) -> CodeExecutorAgent:
    """An agent that executes code; each execution is a call of its tool.

    Raises:
        DefinitionError: The tool executes no code.
    """
    name = definition.code_executor
    if not isinstance(builder.needs.tool(name), CodeExecutionTool):
        raise DefinitionError(
            f"The tool {name!r} of agent {definition.name!r} executes no code; register a "
            "CodeExecutionTool under that name."
        )
    options = given(
        description=definition.description,
        sources=definition.sources,
        supported_languages=definition.supported_languages,
        max_retries_on_error=definition.max_retries_on_error,
        model_client_stream=definition.model_client_stream,
    )
    if definition.system_message is not None:
        options["system_message"] = definition.system_message or None
    if definition.model is not None:
        client = builder.model(definition.model, definition.name, path)
        options["model_client"] = client
        if definition.model_context is not None:
            options["model_context"] = build_context(definition.model_context, client)
    executor = ToolExecutor(builder.tool(name, path))
    return CodeExecutorAgent(definition.name, executor, **options)
