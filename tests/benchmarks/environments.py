"""The environments of the peers: made once below `.teamrun/peers`, and left there."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.measure import ROOT

__all__ = ["Environments", "environments"]

AUTOGEN = "0.7.5"
_AUTOGEN = (f"autogen-agentchat=={AUTOGEN}", f"autogen-ext=={AUTOGEN}")
_AUTOGEN_OPENAI = (_AUTOGEN[0], f"autogen-ext[openai]=={AUTOGEN}")
_LANGGRAPH = ("langgraph==1.2.22", "langgraph-checkpoint-sqlite==3.1.2")


@dataclass(frozen=True, slots=True)
class Environments:
    """Interpreters by the packages that they can import."""

    ours: Path
    """Everything that the project needs."""
    bare: Path
    """The requirements of the library: pydantic, in the version of `ours`."""
    autogen: Path
    autogen_openai: Path
    """With the packages of its OpenAI client, which slow down every start."""
    langgraph: Path | None
    """None if it could not be installed."""


def environments(folder: Path = ROOT / ".teamrun" / "peers") -> Environments:
    """Create missing environments; needs the network the first time.

    Raises:
        subprocess.CalledProcessError: pip could not install a package.
    """
    try:
        langgraph = _made(folder / "langgraph", _LANGGRAPH)
    except subprocess.CalledProcessError:
        langgraph = None
    return Environments(
        ours=Path(sys.executable),
        bare=_made(folder / "teamrun", [f"pydantic=={version('pydantic')}"]),
        autogen=_made(folder / "autogen", _AUTOGEN),
        autogen_openai=_made(folder / "autogen-openai", _AUTOGEN_OPENAI),
        langgraph=langgraph,
    )


def _made(folder: Path, packages: Sequence[str]) -> Path:
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = folder / "installed.txt"
    wanted = "\n".join(packages)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    sys.stderr.write(f"Installing {' and '.join(packages)}\n")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    subprocess.run([*pip, *packages], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return python
