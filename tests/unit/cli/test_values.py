"""With any text as an option or argument, a command ends normally and names the error."""

from pathlib import Path
from typing import get_args, get_type_hints

import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.support.commands import LEAVES
from typer.core import TyperArgument, TyperOption
from typer.testing import CliRunner

from teamrun.cli.app import COMMANDS, app
from teamrun.cli.questions import ApiPrompter
from teamrun.cli.server import POLICY
from teamrun.client import Client
from teamrun.client.building import get, nothing, path_of
from teamrun.errors import RunNotFound, TeamrunError, Unavailable, UsageError
from teamrun.runs.log.status import RequiredAction

NOWHERE = "http://127.0.0.1:1"
STARTS_PROCESSES = {"serve", "api", "worker"}
OPTIONS = [
    (name, option)
    for name, command in LEAVES.items()
    for option in command.params
    if isinstance(option, TyperOption) and not option.is_flag and "--url" not in option.opts
]
NUMBERS = [
    pytest.param(name, max(option.opts, key=len), id=f"{name}{option.opts[0]}")
    for name, option in OPTIONS
    if float in get_args(get_type_hints(COMMANDS[name].command)[option.name])
    or "--max-cost-usd" in option.opts
]
HEADERS = [("submit", "--idempotency-key"), ("watch", "--after"), ("runs", "--api-key")]
IDS = [
    name
    for name, command in LEAVES.items()
    if any(param.name in {"run_id", "run_ids", "batch_id", "batch_ids"} for param in command.params)
    and name not in {"replay"}
]
MORE = {
    "answer": ["--content", "x"],
    "say": ["hello"],
    "fork": ["--after", "1"],
}


def arguments_of(name: str) -> list[str]:
    """The required arguments of the command."""
    params = LEAVES[name].params
    arguments = ["x" for param in params if isinstance(param, TyperArgument) and param.required]
    options = [param for param in params if isinstance(param, TyperOption) and param.required]
    return [*arguments, *(word for option in options for word in (option.opts[0], "x"))]


def ended(name: str, *arguments: str) -> BaseException | None:
    """The end of the command; asserts that the entry point handles it."""
    given = [*name.split(), *arguments]
    if any("--url" in param.opts for param in LEAVES[name].params):
        given += ["--url", NOWHERE]
    error = CliRunner().invoke(app, given, env={"TEAMRUN_URL": ""}).exception
    assert error is None or isinstance(error, TeamrunError | SystemExit), repr(error)
    return error


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1e999"])
@pytest.mark.parametrize(("name", "option"), NUMBERS)
def test_a_number_that_is_not_finite_is_refused_with_the_name_of_the_option(
    name: str, option: str, value: str
) -> None:
    error = ended(name, *arguments_of(name), *MORE.get(name, [])[:2], f"{option}={value}")

    if option == "--max-cost-usd" and value == "1e999":  # a decimal, and finite
        assert isinstance(error, UsageError | Unavailable)
    else:
        assert isinstance(error, UsageError)
        assert option in str(error)


@pytest.mark.parametrize("value", ["é", "a\nb", "a\0b", " zz", "a\x7f"])
@pytest.mark.parametrize(("name", "option"), HEADERS)
def test_a_value_that_no_header_takes_is_refused_with_the_name_of_the_option(
    name: str, option: str, value: str
) -> None:
    error = ended(name, *arguments_of(name), option, value)

    assert isinstance(error, UsageError)
    assert option in str(error)
    assert value not in str(error)


@pytest.mark.parametrize(
    "value", ["NaN", "[Infinity]", "1e999", '"\\ud800"', "{", "[" * 200_000, "9" * 5_000]
)
def test_an_answer_that_json_lacks_is_refused(value: str) -> None:
    error = ended("answer", "run_1", f"--data={value}")

    assert isinstance(error, UsageError)
    assert "--data" in str(error)


@pytest.mark.parametrize("value", ["NaN", "1e999", '"\\ud800"'])
def test_a_team_file_that_cannot_be_sent_is_refused(value: str, tmp_path: Path) -> None:
    file = tmp_path / "team.json"
    file.write_text(f'{{"x": {value}}}', encoding="utf-8")

    error = ended("submit", str(file), "task")

    assert isinstance(error, UsageError)
    assert "team.json" in str(error)


@pytest.mark.parametrize("run_id", ["", ".", "..", "../run_1", "run_1/result", "a\\b", "a\0b"])
@pytest.mark.parametrize("name", IDS)
def test_an_id_that_would_change_the_path_is_refused(name: str, run_id: str) -> None:
    assert isinstance(ended(name, run_id, *MORE.get(name, [])), UsageError)


@given(
    run_id=st.text(st.sampled_from("?#%&;=:@+ .é2Fa") | st.characters(codec="utf-8")),
    team=st.text(st.characters(codec="utf-8")),
)
@example(run_id="a?b", team="x")
@example(run_id="a#b", team="x")
@example(run_id="a%2Fb", team="x")
def test_an_id_is_one_segment_of_the_path_and_nothing_else(run_id: str, team: str) -> None:
    asked: list[httpx2.URL] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url)
        return httpx2.Response(204)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    client = Client(NOWHERE, http=http)
    try:
        client.reply(get(path_of("runs", run_id, "result"), nothing, query={"team": team}))
        list(client.runs.stream(run_id))
    except UsageError:
        return
    for url in asked:
        v1, runs, encoded, _ = url.raw_path.partition(b"?")[0].strip(b"/").split(b"/")
        assert (v1, runs) == (b"v1", b"runs")
        assert httpx2.URL(f"{NOWHERE}/{encoded.decode()}").path == f"/{run_id}"
        assert url.fragment == ""
    assert asked[0].params["team"] == team


@pytest.mark.parametrize(
    ("name", "option"), [pair for pair in OPTIONS if pair[0] not in STARTS_PROCESSES]
)
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=st.text(st.characters(codec="utf-8"), max_size=30))
@example(value="~nobody-of-this-name")
def test_no_text_of_an_option_ends_a_command_in_a_traceback(
    name: str, option: TyperOption, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    ended(name, *arguments_of(name), f"{max(option.opts, key=len)}={value}")

    assert list(tmp_path.iterdir()) == []


def test_a_replay_from_a_folder_that_does_not_exist_makes_none(tmp_path: Path) -> None:
    config, absent = tmp_path / "teamrun.yaml", tmp_path / "absent"
    config.write_text("models: {}\n", encoding="utf-8")

    error = ended("replay", "run_1", "--config", str(config), "--data-dir", str(absent))

    assert isinstance(error, UsageError)
    assert str(absent) in str(error)
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [(["../../x"], RunNotFound), (["."], RunNotFound), (["r", "--tenant", "../x"], UsageError)],
)
def test_a_replay_of_an_unknown_run_is_an_error(
    arguments: list[str], kind: type[UsageError]
) -> None:
    assert isinstance(ended("replay", *arguments), kind)


@pytest.mark.parametrize("order", [("--approve", "--reject"), ("--reject", "--approve")])
def test_an_approval_that_is_also_a_rejection_is_refused(order: tuple[str, str]) -> None:
    error = ended("answer", "run_1", *order)

    assert isinstance(error, UsageError)
    assert "--reject" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:HUNTER2@127.0.0.1:1",
        "http://user:HUN/TER2@127.0.0.1:1",
        "http://user:12#TER2@127.0.0.1:1",
        "http://user:12?TER2@127.0.0.1:1",
        "http://127.0.0.1:1/?key=HUNTER2",
        "http://user:HUNTER2@127.0.0.1:99999",
        "ftp://user:HUNTER2@127.0.0.1",
        "http://user:HUNTER2@",
        "http://HUNTER2@a..b/",
        "http://HUNTER2@" + "a" * 64,
        "user:HUNTER2@host",
    ],
)
@pytest.mark.parametrize("name", ["teams list", "watch"])
def test_no_message_repeats_the_credentials_of_the_url(name: str, url: str) -> None:
    error = CliRunner().invoke(app, [*name.split(), *arguments_of(name), "--url", url]).exception

    assert isinstance(error, UsageError | Unavailable)
    assert "TER2" not in str(error)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://[", "http://a:99999", "x"]
)
def test_an_invalid_url_of_an_api_is_wrong_use(url: str) -> None:
    error = CliRunner().invoke(app, ["teams", "--url", url]).exception

    assert isinstance(error, UsageError)
    assert len(str(error).splitlines()) == 1


@given(secret=st.text(st.sampled_from("#/?@[]:%&=+x\\ 1"), max_size=12))
def test_credentials_of_any_shape_are_repeated_by_no_message(secret: str) -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(TeamrunError) as caught:
        http = httpx2.Client(transport=httpx2.MockTransport(refuse))
        url = f"http://ann:HUN{secret}TER2@127.0.0.1:1"
        Client(url, http=http, retries=POLICY).teams.get("t")

    assert not {part for part in ("HUN", "TER2", "ann:") if part in str(caught.value)}


def test_the_reason_why_a_run_waits_is_shown_without_credentials() -> None:
    told: list[str] = []
    client = Client("http://ann:HUNTER2@127.0.0.1:1")
    action = RequiredAction(id="a", type="input", prompt="?")

    ApiPrompter(client, "run_1", show=told.append).left_open(action)

    assert "HUNTER2" not in told[0]
