import os
from pathlib import Path

import pytest

from teamrun.cli.serving.valkey import MAX_SOCKET_PATH, command, find_program, socket_path
from teamrun.errors import UsageError


def test_a_missing_server_is_an_error_that_names_the_setting() -> None:
    with pytest.raises(UsageError) as caught:
        find_program(package="no_such_package", path="")
    assert caught.value.data == {"setting": "redis_url"}


def test_a_server_on_path_will_do(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.touch(mode=0o755)

    assert find_program(package="no_such_package", path=str(tmp_path)) == program


def test_the_socket_is_in_a_private_folder_with_a_short_name(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)

    path = socket_path(deep)

    assert len(os.fsencode(path)) <= MAX_SOCKET_PATH
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path == socket_path(deep)
    assert path != socket_path(tmp_path)
    path.parent.rmdir()
    socket_path(tmp_path).parent.rmdir()


def test_a_missing_socket_gives_no_response(tmp_path: Path) -> None:
    assert command(tmp_path / "no.sock", "PING") is None
