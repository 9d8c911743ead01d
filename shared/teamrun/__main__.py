"""`python -m teamrun` is `teamrun`."""

from teamrun.cli.__main__ import main

if __name__ == "__main__":
    main()
