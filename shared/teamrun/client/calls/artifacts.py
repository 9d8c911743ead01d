"""Calls of `/v1/runs/{run_id}/artifacts`: the files that the tools of a run have saved."""

from os import PathLike

from teamrun.client.building import get, json_of, path_of
from teamrun.client.calls.targets import target_of
from teamrun.client.requests import Download, Paged, Reply, Request
from teamrun.runs.service.resources import Artifact, ArtifactPage

__all__ = ["download", "list_artifacts", "read"]

_PAGE = json_of(ArtifactPage)

_ANY = {"Accept": "*/*"}


def list_artifacts(run_id: str) -> Paged[Artifact]:
    """List the files of a run, with every version of each."""
    return Paged(get(path_of("runs", run_id, "artifacts"), _PAGE))


def read(run_id: str, name: str, *, version: int | None = None) -> Request[bytes]:
    """Read a file of a run into memory.

    Args:
        run_id: The run.
        name: The name of the file.
        version: The version, from 1; without it, the newest.
    """
    place = () if version is None else ("versions", str(version))
    return get(path_of("runs", run_id, "artifacts", name, *place), _content, headers=_ANY)


def download(
    run_id: str,
    name: str,
    to: str | PathLike[str],
    *,
    version: int | None = None,
    replace: bool = False,
) -> Download:
    """Download a file of a run, piece by piece; the result is its path.

    The bytes are compared with the digest that the server has, and the file appears under its name
    only when it is complete.

    Args:
        run_id: The run.
        name: The name of the file.
        to: The path to write to, or a folder, in which the file keeps its name.
        version: The version, from 1; without it, the newest.
        replace: Whether an existing file may be replaced.

    Raises:
        FileExistsError: There is a file, and `replace` is not set.
    """
    return Download(read(run_id, name, version=version), target_of(to, name), replace)


def _content(reply: Reply) -> bytes:
    return reply.content
