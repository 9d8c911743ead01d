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
_PYDANTIC_AI = ("pydantic-ai-slim==2.68.0",)
_OPENAI_AGENTS = ("openai-agents==0.24.0",)
_AGENT_FRAMEWORK = (
    "agent-framework-core==1.23.0",
    "agent-framework-orchestrations==1.4.0",
)


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
    """None if it could not be installed, as those below."""
    pydantic_ai: Path | None
    openai_agents: Path | None
    agent_framework: Path | None


def environments(folder: Path = ROOT / ".teamrun" / "peers") -> Environments:
    """Create missing environments; needs the network the first time.

    Raises:
        subprocess.CalledProcessError: pip could not install a package.
    """

    def made(name: str, packages: Sequence[str]) -> Path | None:
        try:
            return _made(folder / name, packages)
        except subprocess.CalledProcessError:
            return None

    return Environments(
        ours=Path(sys.executable),
        bare=_made(folder / "teamrun", [f"pydantic=={version('pydantic')}"]),
        autogen=_made(folder / "autogen", _AUTOGEN),
        autogen_openai=_made(folder / "autogen-openai", _AUTOGEN_OPENAI),
        langgraph=made("langgraph", _LANGGRAPH),
        pydantic_ai=made("pydantic-ai", _PYDANTIC_AI),
        openai_agents=made("openai-agents", _OPENAI_AGENTS),
        agent_framework=made("agent-framework", _AGENT_FRAMEWORK),
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
