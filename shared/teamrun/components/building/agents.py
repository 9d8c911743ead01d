"""Agents built from the canonical form."""

from teamrun import memory
from teamrun.agents import AssistantAgent, BaseChatAgent, Handoff
from teamrun.components.building.teams import TeamBuilder, build_context, given
from teamrun.components.definitions.agents import (
    INLINE_TOOLS,
    AssistantDefinition,
    CustomDefinition,
    HandoffDefinition,
    InlineToolDefinition,
    MemoryDefinition,
)
from teamrun.components.definitions.base import BaseDelegateDefinition
from teamrun.components.definitions.kinds import DELEGATES
from teamrun.components.definitions.table import load
from teamrun.json_types import JsonObject
from teamrun.tools.base import Tool
from teamrun.tools.workbench import StaticStreamWorkbench, Workbench

__all__ = ["build_assistant", "build_custom"]


def build_assistant(
    definition: AssistantDefinition, path: str, builder: TeamBuilder
) -> AssistantAgent:
    """An agent that answers with a model."""
    arguments = given(temperature=definition.temperature)
    client = builder.model(definition.model, definition.name, path, arguments)
    options = given(
        description=definition.description,
        reflect_on_tool_use=definition.reflect_on_tool_use,
        max_tool_iterations=definition.max_tool_iterations,
        tool_call_summary_format=definition.tool_call_summary_format,
        tool_choice=definition.tool_choice,
        model_client_stream=definition.model_client_stream,
        metadata=definition.metadata,
    )
    if definition.system_message is not None:
        options["system_message"] = definition.system_message or None
    if definition.model_context is not None:
        options["model_context"] = build_context(definition.model_context, client)
    if definition.output_schema is not None:
        # Imported late: few agents answer in a form.
        from teamrun.core.schema_model import model_of_schema

        options["output_content_type"] = model_of_schema(definition.output_schema)
        options["output_content_type_format"] = definition.output_format
        options |= given(output_repairs=definition.output_repairs)
    if definition.memory:
        options["memory"] = [_memory(each) for each in definition.memory]
    tools = [
        *(_tool(each, path, builder) for each in definition.tools),
        *(_inline(each, path, builder) for each in definition.inline_tools or ()),
    ]
    if definition.workbench:
        # An agent has tools or workbenches, so its own tools become the first workbench.
        own = [StaticStreamWorkbench(tools)] if tools else []
        options["workbench"], tools = [*own, *_workbenches(definition, path, builder)], []
    return AssistantAgent(
        definition.name,
        client,
        tools=tools or None,
        handoffs=[_handoff(each) for each in definition.handoffs] or None,
        **options,
    )


def build_custom(definition: CustomDefinition, path: str, builder: TeamBuilder) -> BaseChatAgent:
    """An agent of a class that the operator registered."""
    options: JsonObject = given(description=definition.description)
    if (profile := definition.model) is not None:
        client = builder.needs.model_client(profile).for_agent(definition.name)
        options["model_client"] = builder.wiring.inner_model(path, profile, client)
    agent = builder.needs.agent(definition.agent, name=definition.name, **options)
    return builder.wiring.agent(path, agent)


def _workbenches(
    definition: AssistantDefinition, path: str, builder: TeamBuilder
) -> list[Workbench]:
    return [
        builder.wiring.workbench(path, builder.needs.mcp_server(each.server), each)
        for each in definition.workbench or ()
    ]


def _tool(given: str | BaseDelegateDefinition, path: str, builder: TeamBuilder) -> Tool:
    if isinstance(given, str):
        return builder.tool(given, path)
    made = load(DELEGATES[given.type].build)(given, path, builder)
    if not given.approval:
        return made
    made.needs_approval = True
    return builder.wiring.delegate(path, made, lambda _: made)


def _inline(definition: InlineToolDefinition, path: str, builder: TeamBuilder) -> Tool:
    # Imported late: few definitions have source.
    from teamrun.components.building.code_execution import build_inline

    return builder.wiring.tool(path, build_inline(definition, builder.needs.tool(INLINE_TOOLS)))


def _memory(definition: MemoryDefinition) -> "memory.ListMemory":
    pieces = [
        memory.MemoryContent(**each.model_dump(exclude_none=True))
        for each in definition.memory_contents
    ]
    return memory.ListMemory(definition.name, pieces)


def _handoff(definition: HandoffDefinition) -> Handoff:
    return Handoff.model_validate(definition.model_dump(exclude_none=True))
