"""Packages of cloud functions: `python3 scripts/dev.py package`.

For AWS Lambda one zip file for each function, for Azure Functions one folder to publish.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from azure_package import build_folder
from dev_environment import Failed
from function_packages import ARCHITECTURES, RUNTIMES, Target, build, sizes

__all__ = ["main", "make_parser"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the packages; returns the exit status."""
    options = make_parser().parse_args(arguments)
    try:
        _make(options)
    except Failed as error:
        print(f"dev.py package: {error}", file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(prog="dev.py package", description=__doc__)
    parser.add_argument("--platform", choices=("aws", "azure"), default="aws", help="[aws]")
    parser.add_argument(
        "--team",
        type=Path,
        default=Path("examples"),
        help="the folder of teamrun.yaml and the modules of its tools [examples]",
    )
    parser.add_argument("--output", type=Path, help="[dist/lambda, or dist/azure]")
    parser.add_argument("--arch", choices=sorted(ARCHITECTURES), help="of AWS Lambda [arm64]")
    parser.add_argument("--python", choices=RUNTIMES, help="of AWS Lambda [3.13]")
    return parser


def _make(options: argparse.Namespace) -> None:
    team = options.team.resolve()
    if options.platform == "azure":
        if options.arch or options.python:
            raise Failed(
                "--arch and --python are for AWS Lambda: the version on Azure is `pythonVersion` "
                "of infra/azure/main.bicep"
            )
        output = options.output or Path("dist/azure")
        build_folder(team=team, output=output.resolve())
        print(f"for Azure Functions, in {output}")
        return
    output = options.output or Path("dist/lambda")
    target = Target(options.arch or "arm64", options.python or "3.13")
    print(sizes(build(target, team=team, output=output.resolve())))
    print(f"for {target}, in {output}")


if __name__ == "__main__":
    sys.exit(main())
