"""`python -m tests.simulation [COUNT]`: so many schedules, and what they came to."""

import sys

from tests.simulation.campaign import campaign, seeds


def main() -> int:
    """Run them; 1 where something did not hold."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    tally = campaign(seeds(count))
    print(tally.told())
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
