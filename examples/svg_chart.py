"""Bar and line charts as SVG text, drawn by hand: nothing but the standard library."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

__all__ = ["Chart", "Kind"]

Kind = Literal["bar", "line"]

_WIDTH: Final = 860
_HEIGHT: Final = 480
_LEFT: Final = 84
_RIGHT: Final = 28
_TOP: Final = 92
_BOTTOM: Final = 56
_PLOT_WIDTH: Final = _WIDTH - _LEFT - _RIGHT
_PLOT_HEIGHT: Final = _HEIGHT - _TOP - _BOTTOM
_COLOURS: Final = ("#2f6fde", "#e4832a", "#23987a", "#b4479b", "#8a6d3b", "#5d6b82")
_STYLE: Final = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #23303f }
.title { font-size: 20px; font-weight: 650 }
.note { font-size: 13px; fill: #66758a }
.tick { font-size: 12px; fill: #66758a }
.value { font-size: 12px; font-weight: 600 }
.grid { stroke: #e4e9f0; stroke-width: 1 }
.axis { stroke: #9aa7b8; stroke-width: 1 }
""".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart with one group of marks per label and one mark per series in each group."""

    title: str
    note: str
    """A line below the title: the measure."""
    labels: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    """For each series a value per label; None leaves a gap."""
    kind: Kind = "bar"

    def to_svg(self) -> str:
        """The chart as an SVG document."""
        scale = _Scale.around(
            [v for values in self.series.values() for v in values if v is not None]
        )
        marks = self._bars(scale) if self.kind == "bar" else self._lines(scale)
        parts = [*self._head(), *_grid(scale), *self._legend(), *marks, *self._labels()]
        return "\n".join([*parts, "</svg>"]) + "\n"

    def _head(self) -> list[str]:
        title = escape(self.title)
        return [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
            f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="12" fill="#ffffff"/>',
            f'<text class="title" x="{_LEFT - 56}" y="38">{title}</text>',
            f'<text class="note" x="{_LEFT - 56}" y="60">{escape(self.note)}</text>',
        ]

    def _legend(self) -> list[str]:
        if len(self.series) < 2:
            return []
        parts: list[str] = []
        right = float(_WIDTH - _RIGHT)
        for index, name in reversed(list(enumerate(self.series))):
            right -= 7.2 * len(name)
            parts.append(f'<text class="tick" x="{right:.1f}" y="60">{escape(name)}</text>')
            right -= 18
            parts.append(
                f'<rect x="{right:.1f}" y="50" width="12" height="12" rx="3" '
                f'fill="{_colour(index)}"/>'
            )
            right -= 16
        return parts

    def _labels(self) -> list[str]:
        every = math.ceil(len(self.labels) / 14)
        return [
            f'<text class="tick" x="{self._middle(index):.1f}" y="{_HEIGHT - _BOTTOM + 24}" '
            f'text-anchor="middle">{escape(label)}</text>'
            for index, label in enumerate(self.labels)
            if index % every == 0
        ]

    def _bars(self, scale: "_Scale") -> list[str]:
        wide = min(0.72 * self._step() / max(1, len(self.series)), 96.0)
        shows_values = len(self.labels) * len(self.series) <= 14
        parts: list[str] = []
        for index, values in enumerate(self.series.values()):
            offset = (index - len(self.series) / 2) * wide
            for place, value in enumerate(values):
                if value is None:
                    continue
                x = self._middle(place) + offset
                parts.append(_bar(x, wide, value, scale, _colour(index)))
                if shows_values:
                    parts.append(_value(x + wide / 2, value, scale))
        return parts

    def _lines(self, scale: "_Scale") -> list[str]:
        parts: list[str] = []
        for index, values in enumerate(self.series.values()):
            points = [
                (self._middle(place), scale.y(value))
                for place, value in enumerate(values)
                if value is not None
            ]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            colour = _colour(index)
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="3" '
                'stroke-linejoin="round" stroke-linecap="round"/>'
            )
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="#ffffff" stroke="{colour}" '
                'stroke-width="2.5"/>'
                for x, y in points
            ]
        return parts

    def _step(self) -> float:
        return _PLOT_WIDTH / max(1, len(self.labels))

    def _middle(self, index: int) -> float:
        return _LEFT + self._step() * (index + 0.5)


@dataclass(frozen=True, slots=True)
class _Scale:
    """The value axis: from `low` to `high` in round steps."""

    low: float
    high: float
    step: float

    @classmethod
    def around(cls, values: Sequence[float]) -> "_Scale":
        low, high = min([0.0, *values]), max([0.0, *values])
        step = _round_step((high - low) / 6 or 1.0)
        return cls(math.floor(low / step) * step, math.ceil(high / step) * step or step, step)

    def y(self, value: float) -> float:
        return _TOP + _PLOT_HEIGHT * (self.high - value) / (self.high - self.low)

    def ticks(self) -> list[float]:
        return [
            self.low + self.step * k for k in range(round((self.high - self.low) / self.step) + 1)
        ]


def _round_step(wish: float) -> float:
    power = 10.0 ** math.floor(math.log10(wish))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= wish)


def _grid(scale: _Scale) -> list[str]:
    parts: list[str] = []
    for tick in scale.ticks():
        y = scale.y(tick)
        kind = "axis" if tick == 0 else "grid"
        parts.append(
            f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{_LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_short(tick)}</text>"
        )
    return parts


def _bar(x: float, wide: float, value: float, scale: _Scale, colour: str) -> str:
    top, bottom = sorted((scale.y(value), scale.y(0)))
    return (
        f'<rect x="{x + 1:.1f}" y="{top:.1f}" width="{wide - 2:.1f}" height="{bottom - top:.1f}" '
        f'rx="3" fill="{colour}"/>'
    )


def _value(x: float, value: float, scale: _Scale) -> str:
    y = scale.y(value) + (-8 if value >= 0 else 18)
    return (
        f'<text class="value" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{_short(value)}</text>'
    )


def _short(value: float) -> str:
    for limit, sign in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.1f}".removesuffix(".0") + sign
    return f"{value:g}"


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]
