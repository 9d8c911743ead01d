"""Any bytes in a definition, a script or a team's JSON: one sentence, no traceback."""

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import examples, thinned
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun.errors import UsageError

FILE = """\
version: 1
models:
  m: {type: scripted, script_file: script.yaml}
  n: {type: scripted, script_file: script.json}
agents:
  a: {model: m, system_message: "Say ${X:-hello}."}
  b: {model: n}
teams:
  t: {type: round_robin_group_chat, agents: [a, b], max_turns: 2}
"""
SCRIPT = 'a: ["one", {content: two, usage: {prompt_tokens: 1, completion_tokens: 1}}]\n'
SCRIPT_JSON = '{"b": ["one", {"content": {"x": [1, 2.5e3, null]}}]}'
TEAM = """{"type": "round_robin_group_chat", "name": "t", "max_turns": 1,
 "agents": [{"name": "a", "model": "m", "system_message": "Say hello."}]}"""
FILES = {
    "teamrun.yaml": FILE,
    "script.yaml": SCRIPT,
    "script.json": SCRIPT_JSON,
    "team.json": TEAM,
}
DEEP = 1_200
"""More than Python's limit of recursion; a deeper nesting only takes longer to scan."""
ODD: list[bytes] = [
    *(b"\0", b"\x01", b"\x1b[31m", b"\x7f", b"\xc2\x85", b"\xff", b"\xc3", b"\xef\xbb\xbf"),
    *(b"\xed\xa0\xbd", b'"\\ud83d"', b'"\\0"', b'"\\e[2J"', b"\xff\xfe", b"\xe2\x80\xa8", b"\r"),
    *(b"9" * 5000, b"0x" + b"f" * 5000, b"1e999", b".inf", b".nan", b"NaN", b"-0", b"0b_", b"1:30"),
    *(b"[" * DEEP, b"{" * DEEP, b"{a: " * DEEP, b"- " * DEEP, b"? " * DEEP, b"&a ", b"*a", b"<<: "),
    *(b"!!int x", b"!!int ''", b"!!bool maybe", b"!!float y", b"!!binary _", b"!!python/name:os"),
    *(b"---\n", b"...\n", b"%YAML 9.9\n", b"%TAG ! x\n", b"\t", b"${", b"${A:-${B}}", b"#", b"'"),
    *(b"2026-13-45", b"yes", b"null", b"[]", b"{}", b"~", b": ", b"|\n", b">\n", b"@", b"`"),
]  # fmt: skip

spliced = st.tuples(
    st.integers(0, 400), st.integers(0, 6), st.sampled_from(ODD) | st.binary(max_size=6)
)


def splice(data: bytes, at: int, length: int, new: bytes) -> bytes:
    at %= len(data) + 1
    return data[:at] + new + data[at + length :]


class Folder:
    """The files of a command; only those that differ from the last ones are written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, bytes] = {}

    def write(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            if self._files.get(name) != data:
                (self.path / name).write_bytes(data)
        self._files |= files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("files"))


def invoked(folder: Folder, files: dict[str, bytes], *arguments: str) -> None:
    """Run a command in the folder of these files; a refusal is wrong use, in one sentence each."""
    folder.write(files)
    given = [f"{folder.path}/{part}" if part in files else part for part in arguments]
    done = CliRunner(env={"TEAMRUN_CONFIG": f"{folder.path}/teamrun.yaml"}).invoke(app, given)
    if isinstance(done.exception, UsageError):
        text = str(done.exception)
        assert text.isprintable() or text.replace("\n", "").isprintable()
        assert not re.search(r"pydantic|Input should|codec|set_int_max|Traceback|NoneType", text)
    elif done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception


def unchanged() -> dict[str, bytes]:
    return {name: text.encode() for name, text in FILES.items()}


COMMANDS = {"check": ("check",), "run": ("run", "t", "Go"), "json": ("run", "team.json", "Go")}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_unchanged_files_are_taken(command: tuple[str, ...], folder: Folder) -> None:
    invoked(folder, unchanged(), *command)


@pytest.mark.parametrize(
    ("odd", "name"),
    thinned([(odd, name) for name in FILES for odd in ODD]),
    ids=lambda part: part if isinstance(part, str) else repr(part[:12]),
)
def test_an_odd_piece_at_the_beginning_and_at_the_end_gives_no_traceback(
    name: str, odd: bytes, folder: Folder
) -> None:
    command = COMMANDS["json" if name == "team.json" else "check"]
    text = FILES[name].encode()

    for data in (odd, odd + text, text + odd):
        invoked(folder, {**unchanged(), name: data}, *command)


@pytest.mark.parametrize("name", FILES)
@examples(100)
@given(changes=st.lists(spliced, min_size=1, max_size=3))
def test_a_damaged_file_gives_no_traceback(
    name: str, changes: list[tuple[int, int, bytes]], folder: Folder
) -> None:
    data = FILES[name].encode()
    for change in changes:
        data = splice(data, *change)

    invoked(
        folder, {**unchanged(), name: data}, *COMMANDS["json" if name == "team.json" else "check"]
    )


@examples(100)
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_definition_or_wrong_use(data: bytes, folder: Folder) -> None:
    invoked(folder, {**unchanged(), "teamrun.yaml": data}, "check")


def refused(data: bytes) -> str:
    with pytest.raises(UsageError) as caught:
        invoked_or_raise(data)
    return str(caught.value)


def invoked_or_raise(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "teamrun.yaml").write_bytes(data)
        done = CliRunner().invoke(app, ["check", "-c", f"{folder}/teamrun.yaml"])
    if done.exception is not None:
        raise done.exception


PLACES: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "a NUL": (lambda text: text.replace(b"max_turns", b"max\0turns"), 9),
    "not UTF-8": (lambda text: text.replace(b"agents: [", b"\xfc: ["), 9),
    "UTF-16": (lambda text: text.decode().encode("utf-16"), 1),
    "digits": (lambda text: text.replace(b"max_turns: 2", b"max_turns: " + b"9" * 5000), 9),
    "hex digits": (lambda text: text.replace(b"max_turns: 2", b"max_turns: 0x" + b"f" * 40), 9),
    "a number that is none": (lambda text: text.replace(b"max_turns: 2", b"max_turns: 0b_"), 9),
    "a default in a default": (lambda text: text.replace(b"${X:-hello}", b"${X:-${Y:-hi}}"), 6),
    "deep": (lambda text: text + b"more: " + b"[" * 5000, 10),
    "a key with a line break": (lambda text: text + b'"a\\nb": 1', 10),
    "a key for a terminal": (lambda text: text + b'"\\e[31mred": 1', 10),
}


@pytest.mark.parametrize(("change", "line"), PLACES.values(), ids=PLACES)
def test_an_unreadable_part_is_reported_with_its_line(
    change: Callable[[bytes], bytes], line: int
) -> None:
    text = FILE.replace("script_file: script.yaml", "script: [x]")
    message = refused(change(text.replace("script_file: script.json", "script: [x]").encode()))

    assert re.match(rf"teamrun\.yaml:{line}: /[^\n]*: [^\n]+\.$", message), message


def test_a_byte_order_mark_is_no_part_of_the_text(folder: Folder) -> None:
    files = {name: b"\xef\xbb\xbf" + data for name, data in unchanged().items()}

    for command in COMMANDS.values():
        invoked(folder, files, *command)


def test_every_fault_of_a_json_team_is_given_with_its_line(tmp_path: Path) -> None:
    team = TEAM.replace('"m"', '"n0"').replace('"max_turns": 1', '"max_turns": true')
    for name, data in {**unchanged(), "team.json": team.encode()}.items():
        (tmp_path / name).write_bytes(data)

    done = CliRunner(env={"TEAMRUN_CONFIG": f"{tmp_path}/teamrun.yaml"}).invoke(
        app, ["run", f"{tmp_path}/team.json", "Go"]
    )

    lines = str(done.exception).splitlines()[1:]
    assert [line.split(": ")[:2] for line in lines] == [
        ["  team.json:1", "/max_turns"],
        ["  team.json:2", "/agents/0/model"],
    ]
