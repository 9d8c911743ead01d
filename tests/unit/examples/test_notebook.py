"""The notebook of the examples, executed cell by cell as Jupyter does: on one event loop."""

import ast
import inspect
import json
import sys
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


def cells() -> list[CodeType]:
    document = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    assert all(not cell.get("outputs") for cell in document["cells"])
    return [
        compile("".join(cell["source"]), cell["id"], "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for cell in document["cells"]
        if cell["cell_type"] == "code"
    ]


async def test_the_cells_of_the_notebook_run_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(EXAMPLES)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells():
        value = FunctionType(cell, names)()
        if inspect.isawaitable(value):
            await value

    assert "APPROVE" in names["result"].messages[-1].to_text()
    assert "39.00 EUR" in names["paid"].messages[-1].to_text()
    assert [question for question in names["questions"] if "refund" in question]
