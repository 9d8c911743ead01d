"""The pages of the documents as data: their blocks of code, their headings, their links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PAGES", "ROOT", "Block", "Page", "commands", "merged", "page"]

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?$")
_INDENTED = re.compile(r"^ {4}\S")
_HEADING = re.compile(r"^#+ +(.*)$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code."""

    page: str
    line: int
    language: str
    """Empty for an indented block."""
    title: str
    """The file of the block, or the program that it is sent to; mostly empty."""
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown file."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def blocks(self) -> list[Block]:
        """Fenced and indented blocks in their order."""
        return list(_blocks(self))

    @property
    def prose(self) -> str:
        """The lines outside of fenced blocks."""
        kept: list[str] = []
        inside = False
        for line in self.text.splitlines():
            if line.startswith("```"):
                inside = not inside
            elif not inside:
                kept.append(line)
        return "\n".join(kept)

    @property
    def anchors(self) -> set[str]:
        """The anchors of this page."""
        titles = [found[1] for line in self.prose.splitlines() if (found := _HEADING.match(line))]
        kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
        return {title.strip().replace(" ", "-") for title in kept}

    @property
    def links(self) -> list[str]:
        """The targets of links, those in blocks left out."""
        return _LINK.findall(self.prose)

    def table(self, heading: str) -> list[list[str]]:
        """The cells of the first table under a heading, without its head."""
        below = self.text.partition(f"\n{heading}\n")[2]
        assert below, f"{self.name} has no heading {heading!r}"
        rows: list[list[str]] = []
        for line in below.splitlines():
            if line.startswith("#") or (rows and not line.startswith("|")):
                break
            if line.startswith("|"):
                cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
                rows.append([cell.strip().replace("\\|", "|") for cell in cells])
        return rows[2:]


def _blocks(page: Page) -> Iterator[Block]:
    lines = page.text.splitlines()
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence:
            end = next(k for k in range(at + 1, len(lines)) if lines[k] == "```")
            text = "\n".join(lines[at + 1 : end]) + "\n"
            yield Block(page.name, at + 1, fence[1], fence[2] or "", text)
            at = end + 1
        elif _INDENTED.match(lines[at]) and (at == 0 or not lines[at - 1]):
            end = at
            while end < len(lines) and (not lines[end] or lines[end].startswith("    ")):
                end += 1
            text = "\n".join(line[4:] for line in lines[at:end]).rstrip() + "\n"
            yield Block(page.name, at + 1, "", "", text)
            at = end
        else:
            at += 1


def commands(block: Block) -> list[str]:
    """The commands of a shell block; continued lines are one, comments are left out."""
    joined = re.sub(r"\\\n\s*", "", block.text)
    return [line.strip() for line in joined.splitlines() if line.strip() and line[0] != "#"]


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A team file with the sections of another added to its own."""
    both = {**base, **more}
    for key in base.keys() & more.keys():
        if isinstance(base[key], dict) and isinstance(more[key], dict):
            both[key] = merged(base[key], more[key])
    return both


def page(name: str) -> Page:
    """A page by its path from the root."""
    path = ROOT / name
    return Page(path, path.read_text(encoding="utf-8"))


PAGES = [
    page(path.relative_to(ROOT).as_posix())
    for path in sorted(
        [
            *ROOT.glob("*.md"),
            *(ROOT / "docs").rglob("*.md"),
            *(ROOT / "examples").rglob("*.md"),
        ]
    )
]
