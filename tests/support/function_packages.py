"""The packages of the functions on AWS Lambda, built as a developer builds them."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from dev_environment import Failed
from function_packages import Target, build, sizes
from tests.support.service import ROOT
from tests.support.services import not_here

__all__ = ["Packages", "Unpacked", "build_packages", "runtime_site"]

_BOTO = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "python-dateutil", "six")
"""What the runtime of Lambda contains besides Python."""

# -I and -S: neither the environment nor an installation adds to the path. The answer comes last.
_BOOT = """
import json, sys
sys.path[:0] = sys.argv[2:]
sys.path.append(sys.argv[1])
from importlib import import_module

class Context:
    def get_remaining_time_in_millis(self):
        return 60_000

given = json.load(sys.stdin)
handler = import_module(given["module"]).handler
answers = [handler(event, Context()) for event in given["events"]]
files = sorted({each.__file__ for each in list(sys.modules.values())
    if getattr(each, "__file__", None)})
print(json.dumps({"answers": answers, "files": files}))
"""


@dataclass(frozen=True)
class Packages:
    """The files of one build."""

    folder: Path
    sizes: str
    """As the command prints them."""

    def file(self, function: str) -> Path:
        return self.folder / f"{function}.zip"

    def names(self, function: str) -> list[str]:
        """The files in a package."""
        with zipfile.ZipFile(self.file(function)) as archive:
            return archive.namelist()

    def unpack(self, function: str, folder: Path) -> "Unpacked":
        """Unpack a package into a new folder, as Lambda does."""
        folder.mkdir()
        with zipfile.ZipFile(self.file(function)) as archive:
            archive.extractall(folder)
        return Unpacked(function, folder)


@dataclass(frozen=True)
class Unpacked:
    """A package in a folder of its own."""

    function: str
    folder: Path

    def call(
        self, events: Sequence[Any], *, site: Path, environ: Mapping[str, str]
    ) -> tuple[list[Any], list[str]]:
        """The answers of the handler, in a process whose path has nothing else; and its files."""
        given = {"module": f"teamrun_infra.aws.{self.function}", "events": events}
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _BOOT, str(site), str(self.folder)],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **environ},
            input=json.dumps(given),
            capture_output=True,
            encoding="utf-8",
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        return found["answers"], found["files"]


def build_packages(folder: Path) -> Packages:
    """Build the packages for this Python on this machine's processor, with the example's team."""
    target = Target("x86_64", f"{sys.version_info[0]}.{sys.version_info[1]}")
    try:
        files = build(target, team=ROOT / "examples", output=folder)
    except Failed as error:
        not_here(f"the packages cannot be built: {error}")
    return Packages(folder, sizes(files))


def runtime_site(folder: Path) -> Path:
    """A folder with what the runtime of Lambda contains besides Python."""
    folder.mkdir()
    for name in _BOTO:
        for file in metadata.distribution(name).files or ():
            if ".." not in file.parts and not (folder / file.parts[0]).exists():
                (folder / file.parts[0]).symlink_to(
                    Path(str(file.locate())).parents[len(file.parts) - 1] / file.parts[0]
                )
    return folder
