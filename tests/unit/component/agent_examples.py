"""The examples of all classes: those of the other modules, and of agents with something inside."""

from tests.unit.component.client_examples import CLIENTS
from tests.unit.component.examples import EXAMPLES as OTHERS
from tests.unit.component.examples import (
    MODEL,
    UNBOUNDED,
    Example,
    agent,
    agent_component,
    component,
    model,
)

from teamrun.agents import (
    CodeExecutorAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    SocietyOfMindAgent,
)
from teamrun.code import LocalCommandLineCodeExecutor
from teamrun.teams import RoundRobinGroupChat

LOCAL = component(
    "autogen_ext.code_executors.local.LocalCommandLineCodeExecutor",
    "code_executor",
    {
        "timeout": 5,
        "work_dir": "work",
        "functions_module": "functions",
        "cleanup_temp_files": True,
    },
)


def local() -> LocalCommandLineCodeExecutor:
    return LocalCommandLineCodeExecutor(5, "work")


EXAMPLES = [
    *OTHERS,
    *CLIENTS,
    Example(
        lambda: CodeExecutorAgent(
            "coder",
            local(),
            model_client=model(),
            system_message="Write code.",
            sources=["boss"],
            supported_languages=["python"],
        ),
        component(
            "autogen_agentchat.agents.CodeExecutorAgent",
            "agent",
            {
                "name": "coder",
                "code_executor": LOCAL,
                "model_client": MODEL,
                "description": CodeExecutorAgent.DEFAULT_AGENT_DESCRIPTION,
                "sources": ["boss"],
                "system_message": "Write code.",
                "model_client_stream": False,
                "model_context": UNBOUNDED,
                "supported_languages": ["python"],
            },
        ),
    ),
    Example(local, LOCAL),
    Example(
        lambda: SocietyOfMindAgent(
            "mind", RoundRobinGroupChat([agent()]), model(), instruction="Read.", description="Two."
        ),
        component(
            "autogen_agentchat.agents.SocietyOfMindAgent",
            "agent",
            {
                "name": "mind",
                "team": component(
                    "autogen_agentchat.teams.RoundRobinGroupChat",
                    "team",
                    {
                        "name": "RoundRobinGroupChat",
                        "description": "A team of agents.",
                        "participants": [agent_component()],
                        "emit_team_events": False,
                    },
                ),
                "model_client": MODEL,
                "description": "Two.",
                "instruction": "Read.",
                "response_prompt": (
                    "Output a standalone response to the original request, without mentioning any "
                    "of the intermediate discussion."
                ),
                "model_context": UNBOUNDED,
            },
        ),
    ),
    Example(
        lambda: MessageFilterAgent(
            "sieve",
            agent(),
            MessageFilterConfig(per_source=[PerSourceFilter(source="a", position="last", count=1)]),
        ),
        component(
            "autogen_agentchat.agents.MessageFilterAgent",
            "agent",
            {
                "name": "sieve",
                "wrapped_agent": agent_component(),
                "filter": {"per_source": [{"source": "a", "position": "last", "count": 1}]},
            },
        ),
    ),
]
