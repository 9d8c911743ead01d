"""The public names of `import teamrun`, and the packages that it does not import."""

import json
import os
import subprocess
import sys
from importlib import import_module

import pytest

import teamrun

SURFACE = {
    "AgentTool": "teamrun.tools",
    "AssistantAgent": "teamrun.agents",
    "BaseChatAgent": "teamrun.agents",
    "CancellationToken": "teamrun.core",
    "ConfigLoader": "teamrun.components.config_loader",
    "Console": "teamrun.console",
    "FunctionTool": "teamrun.tools",
    "Handoff": "teamrun.agents",
    "MaxMessageTermination": "teamrun.conditions",
    "Response": "teamrun.core",
    "RoundRobinGroupChat": "teamrun.teams",
    "DiGraphBuilder": "teamrun.teams",
    "GraphFlow": "teamrun.teams",
    "MagenticOneGroupChat": "teamrun.teams",
    "SelectorGroupChat": "teamrun.teams",
    "Swarm": "teamrun.teams",
    "TaskResult": "teamrun.core",
    "TeamTool": "teamrun.tools",
    "TeamrunError": "teamrun.errors",
    "TextMentionTermination": "teamrun.conditions",
    "TextMessage": "teamrun.messages",
    "ToolContext": "teamrun.tools",
    "UserProxyAgent": "teamrun.agents",
}

CONDITIONS = [
    "AndTerminationCondition",
    "ComposedTermination",
    "ExternalTermination",
    "FunctionCallTermination",
    "FunctionalTermination",
    "HandoffTermination",
    "MaxMessageTermination",
    "OrTerminationCondition",
    "SourceMatchTermination",
    "StopMessageTermination",
    "TerminationCondition",
    "TextMentionTermination",
    "TextMessageTermination",
    "TimeoutTermination",
    "TokenUsageTermination",
]
TEAMS = [
    "BaseGroupChat",
    "CompetitiveGroupChat",
    "ConcurrentGroupChat",
    "DebateGroupChat",
    "DiGraph",
    "DiGraphBuilder",
    "DiGraphEdge",
    "DiGraphNode",
    "GraphFlow",
    "HierarchicalGroupChat",
    "MagenticOneGroupChat",
    "RoundRobinGroupChat",
    "SelectorGroupChat",
    "SequentialGroupChat",
    "Swarm",
    "TeamObserver",
]

SCRIPT = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def modules_after(statement: str) -> set[str]:
    """The top-level packages that a statement loads in a fresh interpreter."""
    names = {name.partition(".")[0] for name in all_modules_after(statement)}
    names -= sys.stdlib_module_names
    return {name for name in names if not name.startswith("_sysconfigdata")}  # the platform's


def all_modules_after(statement: str) -> set[str]:
    """The modules that a statement loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return set(json.loads(done.stdout))


def test_the_public_names_are_these_and_sorted() -> None:
    assert teamrun.__all__ == sorted([*SURFACE, "__version__"])


@pytest.mark.parametrize(("name", "home"), SURFACE.items())
def test_a_public_name_is_the_one_of_its_package(name: str, home: str) -> None:
    assert getattr(teamrun, name) is getattr(import_module(home), name)
    assert name in import_module(home).__all__


def test_dir_lists_the_public_names() -> None:
    assert set(teamrun.__all__) <= set(dir(teamrun))


def test_the_version_is_that_of_the_release() -> None:
    assert teamrun.__version__ == import_module("teamrun.version").VERSION


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError) as raised:
        _ = teamrun.Nothing
    assert str(raised.value) == "module 'teamrun' has no attribute 'Nothing'"


@pytest.mark.parametrize(
    ("package", "names"), [("teamrun.conditions", CONDITIONS), ("teamrun.teams", TEAMS)]
)
def test_a_package_exports_exactly_its_names(package: str, names: list[str]) -> None:
    module = import_module(package)

    assert module.__all__ == names
    assert all(hasattr(module, name) for name in names)


def test_importing_teamrun_loads_nothing_else() -> None:
    assert modules_after("import teamrun") == {"teamrun"}


def test_all_public_names_together_load_no_package_but_pydantic() -> None:
    pydantic = {
        "annotated_types",
        "pydantic",
        "pydantic_core",
        "typing_extensions",
        "typing_inspection",
    }

    assert modules_after("from teamrun import *") - pydantic == {"teamrun"}


def test_the_client_loads_no_engine_no_storage_and_no_provider() -> None:
    pydantic = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions"}
    http = {"anyio", "certifi", "h11", "httpcore2", "httpx2", "idna", "sniffio", "truststore"}
    loaded = all_modules_after("import teamrun.client")

    folders = ("runs.engine", "runs.durable", "runs.log.log", "storage", "models.openai", "teams")
    assert not {name for name in loaded if name.startswith(tuple(f"teamrun.{f}" for f in folders))}
    packages = modules_after("import teamrun.client") - pydantic - http
    assert packages == {"teamrun", "typing_inspection"}


def test_a_start_loads_only_what_the_run_needs() -> None:
    engine = all_modules_after("import tests.benchmarks.ours.cold_engine")
    library = all_modules_after("import tests.benchmarks.ours.cold_library")

    assert not {name for name in library if name.startswith(("teamrun.runs", "teamrun.components"))}
    assert "teamrun.messages.union" not in library | engine
    providers = {"teamrun.models.providers", "teamrun.models.options", "urllib.request"}
    assert not providers & engine
    components = {name for name in engine if name.startswith("teamrun.components.autogen.")}
    assert components == {"teamrun.components.autogen.form", "teamrun.components.autogen.reader"}
