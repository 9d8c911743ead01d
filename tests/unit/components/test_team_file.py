"""`teamrun.yaml`: accepted and refused contents, with the pointer and code of each problem."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from teamrun.components.building.teams import build_team
from teamrun.components.definitions.agents import AssistantDefinition, UserProxyDefinition
from teamrun.components.definitions.teams import RoundRobinDefinition
from teamrun.components.reading.problems import ProblemCode
from teamrun.components.registry import Registry
from teamrun.components.team_file import FIRST_FILE, load_registry
from teamrun.errors import DefinitionError
from teamrun.models.prices import PRICES, Price

GOOD = """
version: 1
models:
  main: {type: scripted, script: [hello]}
tools:
  size: {type: function, function: "builtins:len"}
agents:
  writer: {model: main, tools: [size], system_message: Write.}
  editor: {model: main}
teams:
  desk:
    type: round_robin_group_chat
    agents: [writer, editor]
    termination: {type: max_messages, max_messages: 3}
    max_rounds: 4
"""


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def load(folder: Path, text: str, **environ: str) -> Registry:
    path = folder / "teamrun.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return load_registry(path, environ=environ)


def refused(folder: Path, text: str, **environ: str) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        load(folder, text, **environ)
    return caught.value


def test_a_missing_file_is_an_error_with_a_valid_example(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_registry(tmp_path / "none.yaml", environ={})

    assert "TEAMRUN_CONFIG" in caught.value.message
    assert caught.value.message.endswith(FIRST_FILE)
    assert load(tmp_path, FIRST_FILE).resolve(team="first").name == "first"


@pytest.mark.behaviour("config.keys")
def test_a_file_becomes_a_registry(tmp_path: Path) -> None:
    registry = load(tmp_path, GOOD)

    resolved = registry.resolve(team="desk")
    team = resolved.definition
    assert isinstance(team, RoundRobinDefinition)
    assert [member.name for member in team.participants] == ["writer", "editor"]
    assert (team.name, team.max_turns) == ("desk", 4)
    assert (set(resolved.models), set(resolved.tools)) == ({"main"}, {"size"})
    [summary] = registry.teams()
    assert (summary.name, summary.digest) == ("desk", resolved.digest)
    assert (summary.agents, summary.tools) == (["writer", "editor"], ["size"])
    assert [(use.profile, use.type) for use in summary.models] == [("main", "scripted")]


@pytest.mark.behaviour("config.agents")
def test_the_name_of_an_agent_is_by_default_its_key(tmp_path: Path) -> None:
    text = GOOD.replace("editor: {", "the-editor: {name: ed, ").replace(
        ", editor]", ", the-editor]"
    )

    team = load(tmp_path, text).resolve(team="desk").definition

    assert [member.name for member in team.participants] == ["writer", "ed"]


@pytest.mark.behaviour("config.models.list")
def test_models_may_be_a_list(tmp_path: Path) -> None:
    text = """
        models:
          - {type: openai, model: gpt-4o, api_key: k}
          - {type: openai, name: small, model_id: gpt-4o-mini, api_key: k}
        agents: {a: {model: gpt-4o}, b: {model: small}}
        teams: {t: {type: round_robin_group_chat, agents: [a, b]}}
        """

    assert set(load(tmp_path, text).resolve(team="t").models) == {"gpt-4o", "small"}


def test_a_price_of_the_file_takes_precedence_over_the_table(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """
        models:
          own: {type: openai, model: gpt-4o, api_key: k, price: {input: 0.1, output: "0.30"}}
          known: {type: openai, model: gpt-4o, api_key: k}
          away:
            {type: openai, model: x, api_key: "${NO}", price: {input: 9, output: 9}, fallback: at}
          at: {type: scripted, script: [], price: {input: 1, output: 2, cached_input: 0}}
        """,
    )

    own = Price(Decimal("0.1"), Decimal("0.30"))
    assert registry.price("own", "gpt-4o") == registry.price("own", None) == own
    assert registry.price("known", "gpt-4o-2024-11-20") == PRICES["gpt-4o"]
    assert registry.price("known", "llama") is None
    assert registry.price("away", "gpt-4o") == Price(Decimal(1), Decimal(2), Decimal(0))


def test_a_price_changes_no_digest(tmp_path: Path) -> None:
    priced = changed("script: [hello]", "script: [hello], price: {input: 1, output: 2}")

    assert load(tmp_path, priced).resolve(team="desk") == load(tmp_path, GOOD).resolve(team="desk")


def test_a_model_may_be_provider_and_name(tmp_path: Path) -> None:
    text = """
        agents: {a: {model: "openai:gpt-4o-mini"}}
        teams: {t: {type: round_robin_group_chat, agents: [a]}}
        """

    registry = load(tmp_path, text)

    assert set(registry.resolve(team="t").models) == {"openai:gpt-4o-mini"}
    assert registry.model_use("openai:gpt-4o-mini").missing == "OPENAI_API_KEY"


def test_a_team_may_be_a_member_of_another(tmp_path: Path) -> None:
    text = GOOD + (
        "  house: {type: selector_group_chat, agents: [desk, writer], model_for_selection: main}\n"
    )

    team = load(tmp_path, text).resolve(team="house").definition

    assert [member.type for member in team.participants] == [
        "round_robin_group_chat",
        "assistant_agent",
    ]


def test_a_tool_declares_its_side_effects(tmp_path: Path) -> None:
    module = f"{tmp_path.name}_payments"
    source = "def pay(amount: int) -> str:\n    'Pay.'\n    return 'paid'\n"
    (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
    conduct = "effects: write, on_unknown: ask, approval: true, session: stateful, on_lost: fail"
    text = changed("builtins:len", f"{module}:pay").replace(':pay"', f':pay", {conduct}')

    tool = load(tmp_path, text).tool("size")

    assert (tool.effects, tool.on_unknown, tool.needs_approval) == ("write", "ask", True)
    assert (tool.session, tool.on_lost) == ("stateful", "fail")


AGENT = """
from teamrun.agents import BaseChatAgent


class Parrot(BaseChatAgent):
    produced_message_types = ()

    def __init__(self, name, description="Repeats.", word="hm", model_client=None):
        super().__init__(name, description)
        self.word, self.model_client = word, model_client

    async def on_messages(self, messages, cancellation_token=None):
        raise NotImplementedError

    async def on_reset(self, cancellation_token):
        pass


def plain(name):
    return object()


def misnamed(name):
    return Parrot("polly")


def size(text: str) -> int:
    'How long a text is.'
    return len(text)


NUMBER = 1
"""


def parrots(folder: Path, written: str) -> str:
    """A file with an agent of an own class in place of `editor`; returns its text."""
    module = f"{folder.name}_parrots"
    (folder / f"{module}.py").write_text(AGENT, encoding="utf-8")
    text = changed("editor: {model: main}", f"editor: {written}")
    return text.replace("builtins:len", "MODULE:size").replace("MODULE", module)


def test_an_agent_can_have_a_custom_class(tmp_path: Path) -> None:
    text = parrots(tmp_path, '{class: "MODULE:Parrot", model: main, options: {word: caw}}')
    registry = load(tmp_path, text)
    resolved = registry.resolve(team="desk")

    assert list(resolved.agents) == ["editor"]
    made: Any = registry.agent("editor", name="x", description="Sits there.")
    assert (made.name, made.description, made.word) == ("x", "Sits there.", "caw")
    registry.preload()
    build_team(resolved.definition, registry)

    inline = {
        "type": "round_robin_group_chat",
        "agents": [{"type": "custom_agent", "name": "p", "agent": "editor"}],
    }
    assert list(registry.resolve(team_spec=inline).agents) == ["editor"]
    other = load(tmp_path, text.replace("caw", "squawk")).resolve(team="desk")
    assert other.agents != resolved.agents


@pytest.mark.parametrize(
    ("member", "code", "pointer", "says"),
    [
        ({"agent": "edit"}, "unknown_agent", "agent", "editor"),
        ({"class": "os:system"}, "source_not_allowed", "class", "registered by the operator"),
        ({"agent": "editor", "options": {}}, "unknown_field", "options", "'options'"),
        ({}, "invalid_definition", "agent", "needed"),
    ],
)
def test_a_request_names_an_agent_class_and_brings_none_along(
    tmp_path: Path, member: dict[str, Any], code: str, pointer: str, says: str
) -> None:
    registry = load(tmp_path, parrots(tmp_path, '{class: "MODULE:Parrot"}'))
    agent = {"type": "custom_agent", "name": "p", **member}
    inline = {"type": "round_robin_group_chat", "agents": [agent]}

    with pytest.raises(DefinitionError) as caught:
        registry.resolve(team_spec=inline)

    assert (caught.value.code, says in caught.value.message) == (code, True)
    assert caught.value.pointer == f"/team_spec/agents/0/{pointer}"


@pytest.mark.parametrize("target", ["MODULE:Parrots", "not_a_module_here:Parrot", "MODULE:NUMBER"])
def test_an_invalid_class_is_reported_when_the_process_starts(tmp_path: Path, target: str) -> None:
    registry = load(tmp_path, parrots(tmp_path, f'{{class: "{target}"}}'))

    with pytest.raises(DefinitionError) as caught:
        registry.preload()

    assert caught.value.pointer == "/agents/editor/class"


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("MODULE:plain", type(None)),
        ("MODULE:misnamed", type(None)),
        ('MODULE:Parrot", options: {wrd: caw}, type: "custom_agent', TypeError),
    ],
)
def test_a_class_that_creates_no_such_agent_is_reported(
    tmp_path: Path, target: str, cause: type
) -> None:
    registry = load(tmp_path, parrots(tmp_path, f'{{class: "{target}"}}'))

    with pytest.raises(DefinitionError) as caught:
        build_team(registry.resolve(team="desk").definition, registry)

    assert caught.value.pointer == "/agents/editor/class"
    assert type(caught.value.__cause__) is cause


@pytest.mark.behaviour("config.tools.cache")
@pytest.mark.parametrize(
    "said", ["effects: none", "effects: write", "approval: true", "session: stateful"]
)
def test_the_call_options_of_a_tool_change_its_digest(said: str, tmp_path: Path) -> None:
    plain = load(tmp_path, GOOD).resolve(team="desk").tools
    other = load(tmp_path, changed('"builtins:len"', f'"builtins:len", {said}'))

    assert other.resolve(team="desk").tools != plain


def test_a_person_of_the_file_may_be_a_member(tmp_path: Path) -> None:
    text = changed(
        "editor: {model: main}",
        "editor: {type: user_proxy_agent, input_schema: {type: object}, expires_in_seconds: 9.5}",
    )

    team = load(tmp_path, text).resolve(team="desk").definition

    assert team.participants[1] == UserProxyDefinition(
        name="editor", input_schema={"type": "object"}, expires_in_seconds=9.5
    )


def test_the_digest_changes_with_the_content_and_not_with_the_order(tmp_path: Path) -> None:
    first = load(tmp_path, GOOD).resolve(team="desk").digest
    reordered = GOOD.replace("agents: [writer, editor]", "").replace(
        "max_rounds: 4", "max_rounds: 4\n    agents: [writer, editor]"
    )

    assert load(tmp_path, reordered).resolve(team="desk").digest == first
    assert load(tmp_path, GOOD.replace("Write.", "Read.")).resolve(team="desk").digest != first


def test_a_definition_keeps_its_variables_unexpanded(tmp_path: Path) -> None:
    text = GOOD.replace("Write.", '"Write for ${CUSTOMER}, in ${STYLE:-prose}, about $${X}."')

    registry = load(tmp_path, text, CUSTOMER="Ada", HOME="/root")

    resolved = registry.resolve(team="desk")
    assert "Ada" not in resolved.definition.model_dump_json()
    assert resolved.digest == load(tmp_path, text, CUSTOMER="Bob").resolve(team="desk").digest
    writer = registry.expanded(resolved.definition).participants[0]
    assert isinstance(writer, AssistantDefinition)
    assert writer.system_message == "Write for Ada, in prose, about ${X}."


def test_only_variables_of_the_file_are_ever_put_into_a_text(tmp_path: Path) -> None:
    registry = load(tmp_path, GOOD, SECRET="hidden", OPENAI_API_KEY="sk-1")
    team = registry.resolve(team="desk").definition
    foreign = team.model_copy(update={"description": "tell ${SECRET} and ${OPENAI_API_KEY:-no}"})

    assert registry.expanded(foreign) == foreign


def test_a_team_is_built_with_its_variables_filled_in(tmp_path: Path) -> None:
    text = changed("max_messages: 3}", "max_messages: 3}\n    description: 'For ${CUSTOMER}.'")
    registry = load(tmp_path, text.replace("tools: [size], ", ""), CUSTOMER="Ada")

    team = build_team(registry.resolve(team="desk").definition, registry)

    assert team.description == "For Ada."


def test_preload_finds_a_tool_that_cannot_be_imported(tmp_path: Path) -> None:
    registry = load(tmp_path, changed("builtins:len", "builtins:lenn"))

    with pytest.raises(DefinitionError) as caught:
        registry.preload()

    assert caught.value.pointer == "/tools/size/function"


@dataclass(frozen=True)
class Case:
    id: str
    text: str
    code: ProblemCode
    pointer: str
    says: str


CASES = [
    Case("no yaml", "a: [", "invalid_definition", "", "not valid YAML"),
    Case("a list", "[1, 2]", "invalid_definition", "", "object"),
    Case("unknown section", GOOD + "modles: {}", "unknown_field", "/modles", "'models'"),
    Case("unknown version", changed("version: 1", "version: 3"), "unknown_version",
         "/version", "version: 1"),
    Case("a key twice", changed("max_rounds: 4", "max_rounds: 4\n    max_rounds: 5"),
         "invalid_definition", "/teams/desk/max_rounds", "twice"),
    Case("an alias", "models: {a: &x {type: scripted}, b: *x}", "invalid_definition", "/models/b",
         "alias"),
    Case("a merge", "models: {a: {<<: {type: scripted}}}", "invalid_definition", "/models/a/<<",
         "plain key"),
    Case("a bomb", "a: &a [x, x]\nb: &b [*a, *a]\nteams: [*b, *b]", "invalid_definition", "/b/0",
         "alias"),
    Case("a deep nesting", "[" * 20_000, "too_large", "", "deeply"),
    Case("too long a file", "#" * 1_000_001, "too_large", "", "characters"),
    Case("a tag", 'teams: !!python/object/apply:os.system ["true"]', "invalid_definition", "/teams",
         "tag"),
    Case("a key that is a list", "? [a, b]\n: 1", "invalid_definition", "/?", "plain key"),
    Case("models no map", "models: 3", "invalid_definition", "/models", "object"),
    Case("a profile without type and model", "models: {m: {temperature: 1}}", "unknown_provider",
         "/models/m/type", "'openai'"),
    Case("an unknown model type", "models: {m: {type: opnai}}", "unknown_provider",
         "/models/m/type", "'openai'"),
    Case("a later model type", "models: {m: {type: google}}", "not_available_yet",
         "/models/m/type", "GEMINI_API_KEY"),
    Case("an unknown option", "models: {m: {type: openai, model: x, temprature: 1}}",
         "unknown_field", "/models/m/temprature", "'temperature'"),
    Case("a wrong option", "models: {m: {type: openai, model: x, temperature: hot}}",
         "invalid_definition", "/models/m/temperature", "number"),
    Case("an option that is missing", "models: {m: {type: openai}}", "invalid_definition",
         "/models/m/model", "needed"),
    Case("a circuit breaker that is none", "models: {m: {type: scripted, script: [], "
         "circuit_breaker: true}}", "invalid_definition", "/models/m/circuit_breaker", "object"),
    Case("a share of failures above one", "models: {m: {type: scripted, script: [], "
         "circuit_breaker: {failure_share: 2}}}", "invalid_definition",
         "/models/m/circuit_breaker/failure_share", "at most 1"),
    Case("a circuit that opens without failures", "models: {m: {type: scripted, script: [], "
         "circuit_breaker: {failures: 0}}}", "invalid_definition",
         "/models/m/circuit_breaker/failures", "at least 1"),
    Case("an unknown part of a circuit breaker", "models: {m: {type: scripted, script: [], "
         "circuit_breaker: {cooldown_seconds: 3}}}", "unknown_field",
         "/models/m/circuit_breaker/cooldown_seconds", "'cool_down_seconds'"),
    Case("answers that are kept for no time", "models: {m: {type: scripted, script: [], "
         "cache: {ttl_seconds: 0}}}", "invalid_definition", "/models/m/cache/ttl_seconds",
         "greater than 0"),
    Case("a cache that is a switch", "models: {m: {type: scripted, script: [], cache: true}}",
         "invalid_definition", "/models/m/cache", "object"),
    Case("a price that is none", "models: {m: {type: scripted, script: [], price: 3}}",
         "invalid_definition", "/models/m/price", "object"),
    Case("a price without output", "models: {m: {type: scripted, script: [], price: {input: 1}}}",
         "invalid_definition", "/models/m/price/output", "'output' is needed"),
    Case("a negative price", "models: {m: {type: scripted, script: [], "
         "price: {input: 1, output: '-2'}}}", "invalid_definition", "/models/m/price/output",
         "at least 0"),
    Case("a price in words", "models: {m: {type: scripted, script: [], "
         "price: {input: cheap, output: 1}}}", "invalid_definition", "/models/m/price/input",
         "number"),
    Case("a price without bounds", "models: {m: {type: scripted, script: [], "
         "price: {input: 1, output: .inf}}}", "invalid_definition", "/models/m/price/output",
         "finite"),
    Case("an unknown part of a price", "models: {m: {type: scripted, script: [], "
         "price: {inputs: 1, output: 1, input: 1}}}", "unknown_field", "/models/m/price/inputs",
         "'input'"),
    Case("a broken reference", 'models: {m: {type: openai, model: "${A B}"}}', "invalid_definition",
         "/models/m/model", "$${"),
    Case("an unknown fallback", "models: {m: {type: openai, model: x, fallback: n}}",
         "unknown_model", "/models/m/fallback", "'n'"),
    Case("a fallback to itself",
         "models: {m: {type: scripted, script: [], fallback: n}, "
         "n: {type: scripted, script: [], fallback: m}}",
         "invalid_definition", "/models/m/fallback", "itself"),
    Case("an unknown fallback in a list",
         "models: {m: {type: scripted, script: [], fallback: [k, n]}, "
         "k: {type: scripted, script: []}}", "unknown_model", "/models/m/fallback/1", "'n'"),
    Case("a fallback in a list that leads back",
         "models: {m: {type: scripted, script: [], fallback: [k, n]}, "
         "k: {type: scripted, script: []}, n: {type: scripted, script: [], fallback: [k, m]}}",
         "invalid_definition", "/models/m/fallback/1", "itself"),
    Case("fallbacks that are no names",
         "models: {m: {type: scripted, script: [], fallback: [3]}}",
         "invalid_definition", "/models/m/fallback/0", "text"),
    Case("no fallback in a list", "models: {m: {type: scripted, script: [], fallback: []}}",
         "invalid_definition", "/models/m/fallback", "empty"),
    Case("a switch that is a number", "models: {m: {type: scripted, script: [], "
         "fallback_on_content_filter: 1}}", "invalid_definition",
         "/models/m/fallback_on_content_filter", "true or false"),
    Case("two profiles of a name", "models: [{type: scripted, name: a, script: []}, "
         "{type: scripted, name: a, script: []}]", "invalid_definition", "/models/1",
         "another 'name'"),
    Case("a profile without name", "models: [{type: scripted, script: []}]", "invalid_definition",
         "/models/0/name", "needed"),
    Case("a script that is not there", "models: {m: {type: scripted, script_file: no.yaml}}",
         "invalid_definition", "/models/m/script_file", "no.yaml"),
    Case("a later tool type", changed("type: function", "type: http"), "not_available_yet",
         "/tools/size/type", "not available yet"),
    Case("a server as a tool", changed("type: function", "type: mcp"), "invalid_definition",
         "/tools/size/type", "under 'mcp_servers'"),
    Case("an unknown tool type", changed("type: function", "type: funktion"), "invalid_definition",
         "/tools/size/type", "'function'"),
    Case("a function without module", changed('"builtins:len"', "len"), "unknown_tool",
         "/tools/size/function", "package.module:name"),
    Case("a cached tool with effects",
         changed('"builtins:len"', '"builtins:len", effects: idempotent, cache_results: true'),
         "invalid_definition", "/tools/size/cache_results", "effects: none"),
    Case("a wrong timeout", changed('"builtins:len"', '"builtins:len", timeout: -1'),
         "invalid_definition", "/tools/size/timeout", "greater"),
    Case("unknown effects", changed('"builtins:len"', '"builtins:len", effects: read'),
         "invalid_definition", "/tools/size/effects", "'idempotent'"),
    Case("an unknown way out",
         changed('"builtins:len"', '"builtins:len", effects: write, on_unknown: retry'),
         "invalid_definition", "/tools/size/on_unknown", "'tell'"),
    Case("a way out without effects",
         changed('"builtins:len"', '"builtins:len", effects: idempotent, on_unknown: ask'),
         "invalid_definition", "/tools/size/on_unknown", "effects: write"),
    Case("a session of no kind", changed('"builtins:len"', '"builtins:len", session: sticky'),
         "invalid_definition", "/tools/size/session", "'stateful'"),
    Case("a lost session without one", changed('"builtins:len"', '"builtins:len", on_lost: fail'),
         "invalid_definition", "/tools/size/on_lost", "session: stateful"),
    Case("a class that is no name", changed("editor: {model: main}", "editor: {class: 5}"),
         "invalid_definition", "/agents/editor/class", "package.module:Name"),
    Case("options that are a list",
         changed("editor: {model: main}", 'editor: {class: "a:B", options: [1]}'),
         "invalid_definition", "/agents/editor/options", "object"),
    Case("an own agent without a class",
         changed("editor: {model: main}", "editor: {type: custom_agent}"),
         "invalid_definition", "/agents/editor", "'class' is needed"),
    Case("an approval by name", changed('"builtins:len"', '"builtins:len", approval: boss'),
         "invalid_definition", "/tools/size/approval", "true or false"),
    Case("a schema of the file",
         changed("{model: main}", "{type: user_proxy_agent, input_schema: {type: 1}}"),
         "invalid_definition", "/agents/editor/input_schema/type", "No JSON Schema"),
    Case("an unknown agent", changed("[writer, editor]", "[writer, editr]"), "invalid_definition",
         "/teams/desk/agents/1", "'editor'"),
    Case("an unknown model", changed("editor: {model: main}", "editor: {model: man}"),
         "unknown_model", "/agents/editor/model", "'main'"),
    Case("an unknown tool", changed("[size]", "[sise]"), "unknown_tool", "/agents/writer/tools/0",
         "'size'"),
    Case("a key in an agent", changed("editor: {model: main}", "editor: {model: main, api_key: x}"),
         "unknown_field", "/agents/editor/api_key", "profile"),
    Case("a variable that is not set", changed("Write.", '"${NOBODY}"'), "invalid_definition",
         "/agents/writer/system_message", "${NOBODY:-...}"),
    Case("a reference that is none", changed("Write.", '"${NO BODY}"'), "invalid_definition",
         "/agents/writer/system_message", "$${"),
    Case("a team in itself", changed("[writer, editor]", "[writer, desk]"), "invalid_definition",
         "/teams/desk", "inside of itself"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_an_invalid_part_is_refused_at_its_location(case: Case, tmp_path: Path) -> None:
    error = refused(tmp_path, case.text)

    assert (error.code, error.pointer) == (case.code, case.pointer)
    assert case.says in error.message
    assert "teamrun.yaml" in error.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.yaml"
    with pytest.raises(DefinitionError) as raised:
        load_registry(path, environ={})
    assert str(path) in raised.value.message


def test_a_script_may_lie_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "words.yaml").write_text("writer: [one, two]", encoding="utf-8")
    text = changed("script: [hello]", "script_file: words.yaml")

    registry = load(tmp_path, text)

    client = registry.model_client("main").for_agent("writer")
    assert client.model_info["function_calling"]


def test_a_secret_is_in_no_error_and_in_no_definition(tmp_path: Path) -> None:
    text = """
        models: {m: {type: openai, model: x, api_key: "${KEY}", temperature: sk-canary}}
        """

    error = refused(tmp_path, text, KEY="sk-canary")

    assert error.pointer == "/models/m/temperature"
    assert "sk-canary" not in str(error.as_json())
