"""Charts read back from their SVG: scales from the ticks alone, and what stands where."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree import ElementTree

import numpy as np

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
Point = tuple[float, float]


@dataclass(frozen=True)
class DrawnMark:
    """A mark at (x, y), and how far it goes from there to each side, in points."""

    x: float
    y: float
    half_width: float
    half_height: float
    colour: str


@dataclass(frozen=True)
class DrawnLine:
    points: list[Point]
    colour: str
    dash: str


@dataclass
class DrawnPanel:
    """One pair of axes: `box` is left, top, right, bottom; ticks are (number or name, place)."""

    box: tuple[float, float, float, float]
    x_ticks: list[tuple[str, float]] = field(default_factory=list)
    y_ticks: list[tuple[str, float]] = field(default_factory=list)
    marks: list[DrawnMark] = field(default_factory=list)
    lines: list[DrawnLine] = field(default_factory=list)
    texts: list[tuple[str, Point]] = field(default_factory=list)

    def x_of(self, value: float) -> float:
        """Where a value stands, by the numbers at the ticks."""
        return _along(self.x_ticks, value)

    def y_of(self, value: float) -> float:
        return _along(self.y_ticks, value)


def numbers_at(ticks: list[tuple[str, float]]) -> list[float]:
    """The numbers of some ticks, smallest first."""
    return sorted(float(text.replace("−", "-").replace(",", "")) for text, _ in ticks)


def read_chart(svg: str) -> list[DrawnPanel]:
    """The pairs of axes of a chart."""
    root = ElementTree.fromstring(svg)
    shapes = {
        path.attrib["id"]: _corners(path.attrib["d"])
        for path in root.iter(f"{_SVG}path")
        if "id" in path.attrib
    }
    groups = [
        group
        for group in root.iter(f"{_SVG}g")
        if re.search(r"-axes_\d+$", group.attrib.get("id", ""))
    ]
    return [_panel(group, shapes) for group in groups]


def _panel(group: ElementTree.Element, shapes: dict[str, list[Point]]) -> DrawnPanel:
    # The first path of all is the ground that things are drawn on.
    x, y = zip(*_corners(next(group.iter(f"{_SVG}path")).attrib["d"]), strict=True)
    panel = DrawnPanel((min(x), min(y), max(x), max(y)))
    for child in group:
        name = child.attrib.get("id", "")
        if "matplotlib.axis" in name:
            ticks = panel.x_ticks if _is_x(child) else panel.y_ticks
            ticks += _ticks(child)
        elif "line2d" in name:
            _read_line(child, shapes, panel)
        elif "-text_" in name:
            panel.texts += _texts(child)
    return panel


def _is_x(axis: ElementTree.Element) -> bool:
    return any("-xtick_" in each.attrib.get("id", "") for each in axis)


def _ticks(axis: ElementTree.Element) -> list[tuple[str, float]]:
    """Each tick's text, and its place along the axis: where its line or its small stroke is."""
    found = []
    for tick in axis:
        which = re.search(r"-([xy])tick_", tick.attrib.get("id", ""))
        texts = _texts(tick)
        if which is None or not texts:
            continue
        place = texts[0][1]["xy".index(which[1])]
        lines = [
            _corners(path.attrib["d"])
            for path in tick.iter(f"{_SVG}path")
            if "clip-path" in path.attrib
        ]
        if lines:
            place = lines[0][0]["xy".index(which[1])]
        strokes = list(tick.iter(f"{_SVG}use"))
        if strokes:
            place = float(strokes[0].attrib[which[1]])
        found.append((texts[0][0], place))
    return found


def _texts(element: ElementTree.Element) -> list[tuple[str, Point]]:
    return [
        (text.text or "", (float(text.attrib["x"]), float(text.attrib["y"])))
        for text in element.iter(f"{_SVG}text")
    ]


def _read_line(
    element: ElementTree.Element, shapes: dict[str, list[Point]], panel: DrawnPanel
) -> None:
    for path in element.findall(f"{_SVG}path"):
        style = path.attrib["style"]
        panel.lines.append(
            DrawnLine(
                _corners(path.attrib["d"]),
                _style(style, "stroke"),
                _style(style, "stroke-dasharray"),
            )
        )
    for use in element.iter(f"{_SVG}use"):
        x, y = zip(*shapes[use.attrib[f"{_XLINK}href"][1:]], strict=True)
        at = float(use.attrib["x"]), float(use.attrib["y"])
        size = max(map(abs, x)), max(map(abs, y))
        panel.marks.append(DrawnMark(*at, *size, _style(use.attrib["style"], "stroke")))


def _style(style: str, name: str) -> str:
    found = re.search(rf"(?:^|;)\s*{name}: ([^;]+)", style)
    return found[1].strip() if found else ""


def _corners(path: str) -> list[Point]:
    numbers = [list(map(float, part.split())) for part in re.findall(r"[MLC]([^MLCz]*)", path)]
    return [(part[-2], part[-1]) for part in numbers]


def _along(ticks: list[tuple[str, float]], value: float) -> float:
    values = [float(text.replace("−", "-").replace(",", "")) for text, _ in ticks]
    slope, start = np.polyfit(values, [place for _, place in ticks], 1)
    return float(start + slope * value)
