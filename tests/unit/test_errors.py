import importlib
import inspect
import re

import pytest

TREES = ("teamrun.errors", "teamrun_api.faults", "teamrun.client.errors")
BRANCHES_ALONE = ("teamrun.errors",)
"""`docs/reference/errors.md` has all of these classes."""


def drawn(module: str) -> dict[str, str | None]:
    """The classes of the tree in a module's docstring, and the parent that each is drawn under."""
    parents: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in (importlib.import_module(module).__doc__ or "").splitlines():
        found = re.match(r"( {4,})([A-Z]\w+)  +\S", line) or re.match(r"( {4,})([A-Z]\w+)$", line)
        if found is None:
            continue
        depth, name = len(found[1]), found[2]
        path = [each for each in path if each[0] < depth]
        parents[name] = path[-1][1] if path else None
        path.append((depth, name))
    return parents


@pytest.mark.parametrize("module", TREES)
def test_the_tree_of_errors_is_the_one_of_the_classes(module: str) -> None:
    source = importlib.import_module(module)
    classes = {
        name: cls
        for name, cls in vars(source).items()
        if inspect.isclass(cls) and issubclass(cls, Exception) and cls.__module__ == module
    }
    public = {name for name in classes if not name.startswith("_")}
    tree = drawn(module)

    assert tree.keys() <= public if module in BRANCHES_ALONE else public <= tree.keys()
    for name in public & tree.keys():
        parent = tree[name]
        ancestors = {cls.__name__ for cls in classes[name].__mro__[1:]}
        assert parent is None or parent in ancestors, name
