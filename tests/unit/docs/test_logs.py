"""Log records: the form of their actions, the names of their fields, and the table of them."""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

from tests.support.log_calls import LogCall, log_calls

ROOT = Path(__file__).parents[3]
CODE = [path for top in ("shared", "api", "worker", "infra") for path in (ROOT / top).rglob("*.py")]
ACTION = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*")
ROW = re.compile(r"\| `(?P<action>[^`]+)` \| [^|]+ \|(?P<fields>[^|]*)\|")

OTHER_NAMES = {
    "run": "run_id",
    "call": "call_id",
    "err": "error",
    "exception": "error",
    "reason": "error",
    "delay": "delay_s",
    "delay_seconds": "delay_s",
    "seconds": "a name with a unit",
    "ms": "duration_ms",
}
"""Names that a field must not have, each with the one that is used."""


@cache
def calls() -> list[LogCall]:
    return [call for path in sorted(CODE) for call in log_calls(path, ROOT)]


def table() -> dict[str, set[str]]:
    text = (ROOT / "docs/reference/logs.md").read_text(encoding="utf-8")
    return {row["action"]: set(re.findall(r"`(\w+)`", row["fields"])) for row in ROW.finditer(text)}


def test_every_log_call_has_an_action_of_the_form_component_event() -> None:
    assert len(calls()) > 50
    assert [call.where for call in calls() if not ACTION.fullmatch(call.action)] == []


def test_fields_of_log_records_have_one_name_each() -> None:
    wrong = [(call.where, name) for call in calls() for name in call.fields & OTHER_NAMES.keys()]

    assert wrong == []


def test_the_table_of_logs_is_complete_and_current() -> None:
    fields = defaultdict[str, set[str]](set)
    for call in calls():
        fields[call.action] |= call.fields

    assert table() == fields


def test_an_action_is_read_from_variables_and_nested_dicts(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(
        "def f(ref):\n"
        "    extra = {'action': 'a.first', 'x': 1}\n"
        "    logger.info('m', extra=extra)\n"
        "    extra = {'key': 1}\n"
        "    logger.log(10, 'm', extra={'action': 'a.second', **extra, **ref.log_fields()})\n"
        "    logger.error('m')\n",
        encoding="utf-8",
    )

    assert list(log_calls(path, tmp_path)) == [
        LogCall("m.py:3", "a.first", frozenset({"x"})),
        LogCall("m.py:5", "a.second", frozenset({"key", "run_id", "tenant"})),
        LogCall("m.py:6", "", frozenset()),
    ]
