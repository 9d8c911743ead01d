"""Rules of the project that no linter checks."""

import ast
import re
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "teamrun": ROOT / "shared/teamrun",
    "teamrun_api": ROOT / "api/teamrun_api",
    "teamrun_worker": ROOT / "worker/teamrun_worker",
    "teamrun_infra": ROOT / "infra/teamrun_infra",
}
ALLOWED = {
    "teamrun": {"teamrun"},
    "teamrun_api": {"teamrun", "teamrun_api"},
    "teamrun_worker": {"teamrun", "teamrun_worker"},
    "teamrun_infra": set(PACKAGES),
}
LINES = (
    {
        "errors",
        "version",
        "forwarding",
        "json_types",
        "validation",
        "logs",
        "settings",
        "messages",
    },
    {"core"},
    {"net", "resources"},
    {"models", "context", "memory", "code", "tools"},
    {"agents", "conditions", "teams", "console"},
    {"components"},
    {"redis"},
    {"storage", "dispatch", "live"},
    {"runs"},
    {"webhooks", "batches", "schedules", "catalog", "threads"},
    {"rounds"},
    {"mcp_server"},
    {"upkeep", "telemetry"},
    {"runtime"},
    {"compat"},
    {"testing"},
    {"client"},
    {"cli"},
)
"""The folders of `docs/design/house.md`, lowest first, also planned ones. `__init__` and `__main__`
of `teamrun` may import all of them."""
ROOMS = {
    "components": ("definitions", "reading", "autogen", "building"),
    "runs": ("log", "engine", "durable", "service"),
}
"""Rooms of a folder, lowest first; modules beside them stand above all. `SEPARATE` are those that
do not know each other."""
SEPARATE = {"runs.service": {"runs.engine", "runs.durable"}}
RANK = {folder: rank for rank, line in enumerate(LINES) for folder in line}

MAX_LINES = 600
MODULES = [path for folder in PACKAGES.values() for path in sorted(folder.rglob("*.py"))]
SOURCES = [
    *MODULES,
    *(
        path
        for folder in ("scripts", "tests", "examples")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "node_modules" not in path.parts
    ),
]
LOCKS = sorted(ROOT.glob("*.lock"))


@pytest.fixture(scope="module", autouse=True)
def trees() -> Generator[None]:
    yield
    tree.cache_clear()


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(nodes: Iterator[ast.AST] | list[ast.stmt]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def run_at_import(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that importing the module executes; not what only a type checker sees."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for field in ("body", "orelse", "finalbody"):
            yield from run_at_import(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from run_at_import(handler.body)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_packages_import_only_those_they_may() -> None:
    wrong: list[str] = []
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            roots = {name.partition(".")[0] for name in imports(ast.walk(tree(path)))}
            wrong += [
                f"{name_of(path)} imports {root}"
                for root in roots & set(PACKAGES) - ALLOWED[package]
            ]

    assert wrong == []


def test_folders_import_only_from_below() -> None:
    wrong: list[str] = []
    for path in sorted(PACKAGES["teamrun"].rglob("*.py")):
        folder = path.relative_to(PACKAGES["teamrun"]).parts[0].removesuffix(".py")
        if folder not in {"__init__", "__main__"}:
            wrong += [f"{name_of(path)} imports {name}" for name in above(folder, tree(path))]

    assert wrong == []


def above(folder: str, module: ast.Module) -> set[str]:
    names = [name.split(".") for name in imports(list(run_at_import(module.body)))]
    used = {name[1] for name in names if name[0] == "teamrun" and len(name) > 1}
    return {name for name in used if RANK.get(name, -1) > RANK[folder]}


@pytest.mark.parametrize("folder", ROOMS)
def test_rooms_import_only_from_below(folder: str) -> None:
    wrong: list[str] = []
    for path in sorted((PACKAGES["teamrun"] / folder).rglob("*.py")):
        room = path.relative_to(PACKAGES["teamrun"] / folder).parts[0]
        if room in ROOMS[folder]:
            found = rooms_above(folder, room, tree(path))
            wrong += [f"{name_of(path)} imports {name}" for name in found]

    assert wrong == []


def rooms_above(folder: str, room: str, module: ast.Module) -> set[str]:
    names = {name for name in imports(ast.walk(module)) if name.startswith(f"teamrun.{folder}.")}
    used = {".".join(name.split(".")[1:3]) for name in names}
    rooms = [f"{folder}.{each}" for each in ROOMS[folder]]
    own = f"{folder}.{room}"
    return used - (set(rooms[: rooms.index(own) + 1]) - SEPARATE.get(own, set()))


def test_the_room_check_sees_an_import_upward_and_one_between_rooms_kept_apart() -> None:
    module = ast.parse("from teamrun.runs.engine.calls import Calls\nimport teamrun.runs.log.keys")

    assert rooms_above("runs", "log", module) == {"runs.engine"}
    assert rooms_above("runs", "service", module) == {"runs.engine"}
    assert rooms_above("runs", "durable", module) == set()


def test_the_room_check_sees_an_import_of_a_module_beside_the_rooms() -> None:
    module = ast.parse("from teamrun.components.registry import Registry")

    assert rooms_above("components", "building", module) == {"components.registry"}


def test_the_order_check_sees_an_import_upward_but_not_a_late_one() -> None:
    module = ast.parse(
        "import teamrun.cli.app\n"
        "def late():\n    import teamrun.runs\n"
        "if TYPE_CHECKING:\n    import teamrun.teams"
    )

    assert above("core", module) == {"cli"}


def test_the_command_line_speaks_http_through_the_client_alone() -> None:
    probe = "serving/service.py"  # asks whether a child is ready, without the client's imports
    http, clients = set[str](), set[str]()
    for path in sorted((PACKAGES["teamrun"] / "cli").rglob("*.py")):
        names = set(imports(ast.walk(tree(path))))
        place = path.relative_to(PACKAGES["teamrun"] / "cli").as_posix()
        if any(name.startswith(("httpx", "urllib.request", "http.client")) for name in names):
            http.add(place)
        makes = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
        if any(ast.unparse(call.func) in {"Client", "AsyncClient"} for call in makes):
            clients.add(place)

    assert http == {probe}
    assert clients == {"server.py"}


def test_every_module_lists_its_public_names() -> None:
    assert [name_of(path) for path in MODULES if not says_what_is_public(path)] == []


def says_what_is_public(path: Path) -> bool:
    body = tree(path).body
    targets = {ast.unparse(node.targets[0]) for node in body if isinstance(node, ast.Assign)}
    return len(body) <= 1 or path.name == "__main__.py" or "__all__" in targets


def test_modules_stay_small() -> None:
    lines = {name_of(path): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}

    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_products_do_not_print() -> None:
    console = PACKAGES["teamrun"] / "console.py"  # printing is its purpose
    modules = [path for path in MODULES if path != console]

    assert list(calls_where(modules, "print", prints)) == []


def test_text_files_are_opened_with_their_encoding() -> None:
    assert list(calls_where(SOURCES, r"open|\w+_text", opens_text_without_encoding)) == []


def calls_where(
    paths: list[Path], name: str, is_wrong: Callable[[ast.Call], bool]
) -> Iterator[str]:
    """The wrong calls of functions whose names match."""
    called = re.compile(rf"\b({name})\(")
    for path in paths:
        if called.search(path.read_text(encoding="utf-8")):
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.Call) and is_wrong(node):
                    yield f"{name_of(path)}:{node.lineno}"


def prints(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "print"


def opens_text_without_encoding(call: ast.Call) -> bool:
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    if isinstance(call.func, ast.Attribute) and call.func.attr == "read_text":
        return not call.args
    if isinstance(call.func, ast.Attribute) and call.func.attr == "write_text":
        return len(call.args) < 2
    if isinstance(call.func, ast.Name) and call.func.id == "open":
        mode = call.args[1] if len(call.args) > 1 else None
        return not (isinstance(mode, ast.Constant) and "b" in str(mode.value))
    return False


@pytest.mark.parametrize("path", LOCKS, ids=name_of)
def test_locks_name_no_host_and_check_every_hash(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    pins = re.findall(r"^[A-Za-z0-9].*==", text, re.MULTILINE)

    assert not re.search(r"://|@ |^-", text, re.MULTILINE)
    assert pins
    assert all(f"{pin.partition('==')[0]}==" in text for pin in pins)
    assert len(re.findall(r"^[A-Za-z0-9][^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(
        pins
    )


def test_there_is_one_lock_per_purpose_and_none_of_uv() -> None:
    assert [path.name for path in LOCKS] == [
        "requirements-check.lock",
        "requirements-clouds.lock",
        "requirements-deploy.lock",
        "requirements-embedded.lock",
        "requirements-generators.lock",
        "requirements-interop.lock",
        "requirements-test.lock",
        "requirements.lock",
    ]
