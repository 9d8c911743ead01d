import json
import logging
import subprocess
import sys

from teamrun.logs import JsonFormatter, RepetitionFilter, TextFormatter


def record(**extra: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "name": "teamrun.x",
            "levelname": "INFO",
            "msg": "The execution of a run is over",
            "created": 0.0,
            **extra,
        }
    )


def test_a_line_is_one_json_object_with_the_data_of_the_record() -> None:
    line = JsonFormatter().format(record(action="executor.run_finished", run_id="run_1"))

    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "info",
        "logger": "teamrun.x",
        "message": "The execution of a run is over",
        "action": "executor.run_finished",
        "run_id": "run_1",
    }


def test_an_exception_stays_on_its_line() -> None:
    try:
        raise ValueError("no\nluck")
    except ValueError:
        line = JsonFormatter().format(record(exc_info=sys.exc_info()))

    assert "\n" not in line
    assert "ValueError: no\nluck" in json.loads(line)["exception"]


def test_a_line_for_people_has_the_data_behind_the_message() -> None:
    line = TextFormatter().format(record(run_id="run_1"))

    assert line == "00:00:00 info    teamrun.x: The execution of a run is over run_id=run_1"


def test_a_library_that_repeats_itself_is_cut_short_and_what_was_dropped_is_counted() -> None:
    now = [0.0]
    repetitions = RepetitionFilter(most=3, window_s=60, clock=lambda: now[0])

    def passes(name: str, message: str) -> bool:
        record = logging.LogRecord(name, logging.ERROR, "", 0, message, None, None)
        passed = repetitions.filter(record)
        dropped.append(vars(record).get("dropped"))
        return passed

    dropped: list[int | None] = []
    assert [passes("asyncio", "no descriptors") for _ in range(1000)].count(True) == 3
    assert passes("asyncio", "another")
    assert all(passes("teamrun.runs", "ours") for _ in range(100))
    now[0] = 61.0
    assert passes("asyncio", "no descriptors")
    assert dropped[-1] == 997


def test_the_log_of_a_process_is_cut_short() -> None:
    code = (
        "import logging; from teamrun.logs import configure_logging; configure_logging()\n"
        "for _ in range(1000): logging.getLogger('library').error('no descriptors')\n"
        "for _ in range(100): logging.getLogger('teamrun.x').error('ours')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=30)

    messages = [json.loads(line)["message"] for line in done.stderr.splitlines()]
    assert (messages.count("ours"), messages.count("no descriptors")) == (100, 10)
