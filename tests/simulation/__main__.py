"""Long runs outside of pytest, from new seeds; status 1 if there was a violation.

python -m tests.simulation [COUNT]              run so many schedules [5000]
python -m tests.simulation hunt [MOST [NAME]]   hunt each mutant whose name contains NAME, with at
                                                most so many schedules [2000]
"""

import sys

from tests.simulation.campaign import campaign, seeds
from tests.simulation.hunt import fresh_hunts


def main(arguments: list[str]) -> int:
    """Run the command of the arguments."""
    if arguments[:1] == ["hunt"]:
        most = int(arguments[1]) if arguments[1:] else 2_000
        return 0 if fresh_hunts(most, *arguments[2:3]) else 1
    tally = campaign(seeds(int(arguments[0]) if arguments else 5_000))
    print(tally.told())
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
