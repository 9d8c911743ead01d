"""A Python process in a sandbox that keeps what code leaves in memory.

The driver starts it with the text of this module as `-c`, like its own, and with two descriptors:
one to read code from, a JSON string per line, and one to write the exit code of each to. As in a
notebook, the value of a last expression is printed.
"""

import ast
import json
import os
import sys
import traceback
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Execute code until there is no more."""
    jobs, replies = int(sys.argv[1]), int(sys.argv[2])
    for each in (jobs, replies):
        os.set_inheritable(each, False)
    sys.argv[:] = [""]
    sys.path[0] = "/work"
    scope: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    with open(jobs, encoding="utf-8") as lines:
        for line in lines:
            exit_code = run(json.loads(line), scope)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os.write(replies, bytes([exit_code & 255]))


def run(code: str, scope: dict[str, Any]) -> int:
    """Execute one text; returns its exit code."""
    try:
        tree = ast.parse(code, "<code>")
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            tree.body.pop()
            exec(compile(tree, "<code>", "exec"), scope)
            value = eval(compile(ast.Expression(last.value), "<code>", "eval"), scope)  # noqa: S307 - that is its purpose, in a sandbox
            if value is not None:
                sys.stdout.write(f"{value!r}\n")
        else:
            exec(compile(tree, "<code>", "exec"), scope)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        sys.stderr.write(f"{error.code}\n")
        return 1
    except BaseException as error:
        shown = error.__traceback__.tb_next if error.__traceback__ else None
        traceback.print_exception(type(error), error, shown)
        return 1
    return 0


if __name__ == "__main__":
    main()
