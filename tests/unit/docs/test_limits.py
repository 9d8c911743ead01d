"""`docs/how-to/limits.md` lists the limits that there are, with their stop codes."""

import re

import pytest
from tests.support.pages import page

from teamrun.runs.log.limits import Limits
from teamrun.runs.log.usage import Level

PAGE = page("docs/how-to/limits.md")


@pytest.mark.behaviour("pattern.production")
def test_the_page_lists_every_limit_with_its_stop_code() -> None:
    listed = {
        cells[0].strip("`"): cells[2].strip("`") for cells in PAGE.table("## What a run may use")
    }

    names = Limits.model_fields.keys() - {"on_limit", "agents"}
    assert listed == {name: Level(name, 1, 1).code for name in names}


def test_the_page_lists_the_times_of_a_run() -> None:
    rows = PAGE.table("## Schedules and deadlines")

    assert re.findall(r"`(\w+)`", " ".join(cells[0] for cells in rows)) == [
        "delay_seconds",
        "run_at",
        "expires_in_seconds",
        "deadline",
    ]
