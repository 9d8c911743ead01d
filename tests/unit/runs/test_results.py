import gc
import json

from tests.support.runs import Cluster, duo

from teamrun.core.refs import RunRef
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.execution import Execution, Program
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.loop import RunLoop
from teamrun.runs.log.archive import DUTIES, events_of, write_events
from teamrun.runs.log.entries import Accepted, End, LoggedEvent, Step, read_events
from teamrun.runs.log.keys import events_key, result_key
from teamrun.runs.log.spec import RunSpec

CATCHES = 'a\n],"body":{"kind":"step"}}\n{"data":{"message":1}},\r\n'
"""A text that looks like the form in which entries are written."""


async def test_the_derived_files_match_the_log() -> None:
    cluster = Cluster({"a": [CATCHES], "b": ["plain"]}, team=duo(2))
    ref = await cluster.submit(CATCHES)
    await cluster.worker(duties=(write_events, *DUTIES)).execute(ref)

    told = list(events_of(ref, await cluster.log(ref).documents_on(0)))
    lines = (await cluster.store.get(events_key(ref))).splitlines()
    assert [json.loads(line) for line in lines] == told

    result = json.loads(await cluster.store.get(result_key(ref)))
    messages = [e["data"]["message"] for e in told if e["type"] == "message.created"]
    assert result["messages"] == messages
    assert [message["content"] for message in messages] == [CATCHES, CATCHES, "plain"]


async def test_events_are_read_from_an_entry_in_whatever_form_it_is_written() -> None:
    cluster = Cluster({"a": []}, team=duo(1))
    ref = await cluster.submit()
    log = cluster.log(ref)
    events = [LoggedEvent("said", "a", {"text": CATCHES}), LoggedEvent("done")]
    state = await log.state()
    entry = await log.append(state, Step(), events, epoch=0)
    assert entry is not None
    [_, stored] = await log.stored()
    assert read_events(stored) == read_events(json.dumps(json.loads(stored)).encode())
    assert read_events(stored).seq == entry.seq
    assert [json.loads(event)["type"] for event in read_events(stored).events] == [
        "said",
        "done",
    ]


async def test_an_ended_run_leaves_nothing_to_the_garbage_collector() -> None:
    cluster = Cluster({"a": ["1"], "b": ["2"]}, team=duo(2))
    engine = cluster.worker()
    ref = await cluster.submit()
    gc.collect()
    gc.disable()
    try:
        await engine.execute(ref)
        assert [o for o in gc.get_objects() if isinstance(o, Execution | Journal | RunLoop)] == []
    finally:
        gc.enable()
        await engine.close()


async def test_runs_of_one_team_share_what_is_equal_in_a_worker() -> None:
    specs: list[RunSpec] = []

    def program(spec: RunSpec) -> Program:
        async def code(journal: Journal) -> End:
            return End(status="completed")

        specs.append(spec)
        return code

    cluster = Cluster({}, team=duo(1))
    engine = Engine(
        store=cluster.store,
        live=cluster.live,
        dispatcher=cluster.queue,
        owner="w1",
        program=program,
    )
    for task in ("one", "two"):
        await engine.execute(await cluster.submit(task))
    await engine.close()
    first, second = specs
    assert first.definition is second.definition
    assert first.models is second.models
    assert first.limits is second.limits
    assert [spec.input for spec in specs] == ["one", "two"]
    accepted = (await cluster.entries(RunRef(second.tenant, second.run_id)))[0].body
    assert isinstance(accepted, Accepted)
    assert second == accepted.spec
    assert second.model_dump_json() == accepted.spec.model_dump_json()
