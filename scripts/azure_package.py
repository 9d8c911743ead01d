"""The folder that is published to Azure Functions, where the platform installs the packages.

`package_functions.py` calls this. The folder has the function app of `infra/azure/app`, this
project, the operator's folder, and one `requirements.txt` of both locks.
"""

import shutil
import tempfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

from dev_environment import AZURE, ROOT, Failed
from operator_folder import OperatorFolder, pins_of, say, sources_of
from packaging.utils import canonicalize_name

__all__ = ["build_folder"]

_PARTS: Final = ("shared/teamrun", "api/teamrun_api", "infra/teamrun_infra")
_APP: Final = ROOT / Path(AZURE).parent
_APP_FILES: Final = (".funcignore", "function_app.py", "host.json", "requirements.txt")
"""Not all of the folder: Microsoft's tools keep `local.settings.json` beside them."""


def build_folder(*, team: Path, output: Path) -> None:
    """Make the folder, in place of the one that an earlier call made.

    Args:
        team: The operator's folder, with `teamrun.yaml`. The distributions of a
            `requirements.lock` in it are added.
        output: The folder to make.

    Raises:
        Failed: A name or a version of the operator's collides with one of this project, or the
            output is a folder with something else.
    """
    operator = OperatorFolder(team)
    if output.exists() and not _is_ours(output):
        raise Failed(f"{output} has other files: name another folder with --output")
    ours = pins_of(ROOT / AZURE)
    names = {pin.name for pin in ours}
    added = operator.added_to(ours)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="teamrun-package-", dir=output.parent) as scratch:
        content = Path(scratch, "app")
        for name in _APP_FILES:
            _copy(_APP / name, content / name)
        for part in map(Path, _PARTS):
            for file in sources_of(ROOT / part):
                _copy(file, content / file.relative_to(ROOT / part.parent))
        installed = {
            module
            for module, distributions in packages_distributions().items()
            if names.intersection(map(canonicalize_name, distributions))
        }
        # The client libraries of Azure are not installed here.
        taken = {path.name for path in content.iterdir()} | installed | {"azure"}
        operator.check_names(taken)
        operator.tell_left_out()
        for file in operator.files():
            _copy(file, content / file.relative_to(team))
        if added:
            say(f"Adding {len(added)} packages of the operator's lock")
            both = sorted([*ours, *added], key=lambda pin: pin.name)
            lock = "".join(pin.line() for pin in both)
            (content / "requirements.txt").write_text(lock, encoding="utf-8")
        if output.exists():
            shutil.rmtree(output)
        content.rename(output)


def _is_ours(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    made = all((folder / name).exists() for name in ("host.json", "function_app.py", "teamrun"))
    return made or not any(folder.iterdir())


def _copy(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)
