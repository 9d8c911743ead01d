"""`python -m tests.benchmarks`: Teamrun and its peers, measured in one run; prints the figures."""

import argparse
import os
import platform
import sys
import time

from tests.benchmarks.environments import environments
from tests.benchmarks.measure import NotMeasured
from tests.benchmarks.rows import (
    at_once,
    batch,
    cold_start,
    durable,
    faults,
    functions,
    instructions,
    library,
    lists,
    log,
    memory,
    requests,
    service,
    teams,
    webhooks,
    worker,
)
from tests.benchmarks.rows.settings import Bench

ROWS = {
    "library": library.report,
    "teams": teams.report,
    "durable": durable.report,
    "log": log.report,
    "at-once": at_once.report,
    "memory": memory.report,
    "cold-start": cold_start.report,
    "functions": functions.report,
    "requests": requests.report,
    "lists": lists.report,
    "worker": worker.report,
    "batch": batch.report,
    "service": service.report,
    "webhooks": webhooks.report,
    "instructions": instructions.report,
    "faults": faults.report,
}
_BUSY = 0.5


def main() -> int:
    options = _parser().parse_args()
    bench = Bench(environments(), quick=options.quick)
    began = time.monotonic()
    load = os.getloadavg()[0]
    cpus = os.cpu_count() or 1
    print(f"Python {platform.python_version()}, {cpus} CPUs, load {load:.1f} at the start")
    if load > _BUSY * cpus:
        print("The machine is busy: look at ratios only.")
    try:
        for name in options.rows or ROWS:
            ROWS[name](bench)
            sys.stdout.flush()
    except NotMeasured as error:
        sys.stderr.write(f"{error}\n")
        return 1
    load = os.getloadavg()[0]
    print(f"\nTook {time.monotonic() - began:.0f} s, which includes load of its own: {load:.1f}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="fewer runs, one sample of each")
    return parser


if __name__ == "__main__":
    sys.exit(main())
