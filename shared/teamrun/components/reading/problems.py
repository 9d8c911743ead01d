"""Problems of a definition: a code, a JSON pointer, and the remedy."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol, Self, TypeVar, cast

from teamrun.errors import DefinitionError

__all__ = [
    "MALFORMED",
    "Problem",
    "ProblemCode",
    "Problems",
    "Source",
    "Warned",
    "bounded",
    "did_you_mean",
    "ended",
    "joined",
    "listed",
    "nearest",
    "pointer",
    "shown",
]

ProblemCode = Literal[
    "invalid_definition",
    "unknown_field",
    "unknown_team",
    "unknown_agent",
    "unknown_model",
    "unknown_tool",
    "unknown_function",
    "unknown_provider",
    "unknown_version",
    "source_not_allowed",
    "environment_not_allowed",
    "component_json_not_supported",
    "not_available_yet",
    "model_not_ready",
    "too_large",
]
"""The kinds of problem; stable, part of the HTTP contract."""


_LONG = 100
_MOST_LISTED = 100
_MOST_COMPARED = 500

MALFORMED: Final = (
    "A '${' must be part of '${NAME}' or '${NAME:-default}', and a default is plain text without"
    " another '${'; write '$${' for a literal one."
)
"""A text with a broken reference to a variable."""


class Problem(NamedTuple):
    """One problem of a definition."""

    pointer: str
    """JSON pointer (RFC 6901) into the document that was read."""
    code: ProblemCode
    detail: str

    @classmethod
    def of(cls, error: DefinitionError) -> Self:
        """The problem that an error was raised for."""
        return cls(error.pointer, cast("ProblemCode", error.code), error.message)


class Warned(NamedTuple):
    """A warning about a valid part of a definition."""

    pointer: str
    detail: str


class Source(NamedTuple):
    """The file that a document was read from."""

    name: str
    lines: Mapping[str, int]
    """The line of each part of the document, counted from 1, by the part's pointer."""

    def line(self, where: str) -> int:
        """The line of the innermost part on the way to a pointer that the document has."""
        while where and where not in self.lines:
            where = where.rpartition("/")[0]
        return self.lines.get(where, 1)

    def line_of(self, where: str, detail: str) -> str:
        """A warning, as one line."""
        return f"{self.name}:{self.line(where)}: {_printable(where) or '/'}: {detail}"

    def message(self, found: Sequence[Problem]) -> str:
        """Each problem on one line, as `file:line: pointer: message`."""
        ordered = sorted(found, key=lambda problem: self.line(problem.pointer))
        texts = [self.line_of(problem.pointer, problem.detail) for problem in ordered]
        if len(texts) == 1:
            return texts[0]
        return f"{self.name} has {len(texts)} errors:\n" + "\n".join(f"  {text}" for text in texts)


class Problems:
    """The problems of one document, in the order in which they were found."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self.warnings: list[Warned] = []
        self._met = 0
        self._around: set[str] = set()
        """The pointers of the first `_met` problems, and of all that is around these."""

    def add(self, where: str, code: ProblemCode, detail: str) -> None:
        """Add a problem."""
        self.found.append(Problem(where, code, detail))

    def warn(self, where: str, detail: str) -> None:
        """Note something that is taken, though perhaps not as its author meant it."""
        self.warnings.append(Warned(where, detail))

    def is_in(self, where: str) -> bool:
        """Whether there is a problem at a location or inside it."""
        # A search of all problems for each field would take a time that is quadratic in faults.
        for problem in self.found[self._met :]:
            place = problem.pointer
            while place not in self._around:
                self._around.add(place)
                place = place.rpartition("/")[0]
        self._met = len(self.found)
        return where in self._around

    def raise_any(self, *, source: Source | None = None) -> None:
        """Raise all problems as one error, which lists them in `problems`.

        The message lists all problems with their lines if the document is a file, otherwise the
        first one.

        Args:
            source: The file that the document was read from.

        Raises:
            DefinitionError: There is a fault.
        """
        if not self.found:
            return
        first = self.found[0]
        raise DefinitionError(
            first.detail if source is None else source.message(self.found),
            pointer=first.pointer,
            code=first.code,
            problems=[problem._asdict() for problem in bounded(self.found, _more)],
        )


def _more(where: str, detail: str) -> Problem:
    return Problem(where, "too_large", detail)


class _Placed(Protocol):
    @property
    def pointer(self) -> str: ...


PlacedT = TypeVar("PlacedT", bound=_Placed)


def bounded(found: Sequence[PlacedT], more: Callable[[str, str], PlacedT]) -> Sequence[PlacedT]:
    """The first 100 problems or warnings; if there are more, a last entry says how many.

    A client decides how many there are, and an answer with all of them can be larger than its
    request.

    Args:
        found: All of them.
        more: Makes the last entry, from a pointer to the whole document and a text.
    """
    count = len(found) - _MOST_LISTED
    if count <= 0:
        return found
    whole = "/".join(found[0].pointer.split("/", 2)[:2])
    are = "is" if count == 1 else "are"
    text = f"{count:,} more {are} not listed: correct the ones that are, then check again."
    return [*found[:_MOST_LISTED], more(whole, text)]


def pointer(base: str, *parts: str | int) -> str:
    """The pointer to something inside what `base` points to."""
    return base + "".join(f"/{_escaped(part)}" for part in parts)


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question to append to a message, or nothing if no known name is near."""
    near = nearest(name, known)
    return "" if near is None else f" Did you mean {near!r}?"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one was probably meant to be."""
    if len(name) > _LONG:
        return None
    # Each comparison takes several microseconds, and a client decides how many names there are.
    names = sorted(known)[:_MOST_COMPARED]
    near = difflib.get_close_matches(name, names, n=1)
    return near[0] if near else None


def _printable(where: str) -> str:
    """A pointer for a message: a key may have line breaks, or commands for a terminal."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in where)
    return text if len(text) <= 2 * _LONG else text[: 2 * _LONG] + "…"


def ended(text: str) -> str:
    """The text with a mark at its end."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def shown(value: object) -> str:
    """A value of the document for a message, truncated if it is long."""
    text = repr(value)
    return text if len(text) <= _LONG else text[:_LONG] + "…"


def joined(names: Sequence[str], word: str = "and") -> str:
    """Quoted names as a phrase: `'a', 'b' and 'c'`."""
    *rest, last = [repr(name) for name in names]
    return f"{', '.join(rest)} {word} {last}" if rest else last


def listed(names: Iterable[str], *, none: str = "none", most: int = 10) -> str:
    """Names for a message: sorted, quoted, at most `most` of them."""
    ordered: Sequence[str] = sorted(names)
    if not ordered:
        return none
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(repr(name) for name in ordered[:most]) + more
