"""AutoGen 0.7.5 prints what the scripts of `tests/unit/compat` are compared with."""

import asyncio
import os

import pytest
from tests.support.model_replies import Plan
from tests.support.model_server import ModelServer
from tests.support.own_environment import own_environment
from tests.unit.compat.test_scripts import FOLDER, REPLIES, expected

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", REPLIES)
async def test_a_script_prints_this_on_autogen(name: str) -> None:
    python = await asyncio.to_thread(own_environment, "interop") / "bin" / "python"
    async with ModelServer(Plan(queue=list(REPLIES[name]))) as server:
        process = await asyncio.create_subprocess_exec(
            python,
            FOLDER / f"{name}.py",
            env={**os.environ, "MODEL_URL": server.base_url, "PYTHONPATH": ""},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()

    assert out.decode() == expected(name)
