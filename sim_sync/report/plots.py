"""The plots of a report: pygal draws them as SVG, which holds no style and no script of its own and is named in words.

Colours and fonts follow from the page's style sheet, so that a plot is light or dark as the page is.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from xml.etree import ElementTree as ET

from markupsafe import Markup

from sim_sync.core.text import printable

Kind = Literal["bars", "stacked"]
#: Width and height in the units of the drawing: one for a screen or a page, one for a telephone.
_WIDE, _NARROW = (920, 240), (420, 240)
#: So many labels of the horizontal axis fit in.
_LABELS = {_WIDE: 12, _NARROW: 4}
#: What pygal writes for scripts of its own, which are not loaded here.
_NOT_NEEDED = {"script", "style", "desc"}


class Series(NamedTuple):
    """A row of values, one a label, with its name and the class that gives it its colour."""

    name: str
    tone: str
    values: Sequence[float]


class Plot(NamedTuple):
    """A plot: its title, its labels, its series from bottom to top, the unit of its values."""

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    kind: Kind = "bars"
    unit: str = ""


def drawn(plot: Plot) -> Markup:
    """Return a plot as SVG for wide places, and for narrow ones beside it; a page shows one of them."""
    return Markup("").join(Markup(_svg(plot, size)) for size in (_WIDE, _NARROW))  # noqa: S704 - written as XML


def standalone(plot: Plot) -> str:
    """Return a plot as an SVG document that brings its own style: for a place with other style sheets."""
    root = _tree(plot, _WIDE)
    width, height = _WIDE
    root.attrib |= {"width": str(width), "height": str(height)}  # without them, a picture is as small as it may be
    style = ET.Element("style")
    style.text = _style()
    root.insert(0, style)
    return ET.tostring(root, encoding="unicode")


@cache
def _style() -> str:
    return Path(__file__).with_name("plots.css").read_text(encoding="utf-8")


def _svg(plot: Plot, size: tuple[int, int]) -> str:
    return ET.tostring(_tree(plot, size), encoding="unicode", short_empty_elements=False)


def _tree(plot: Plot, size: tuple[int, int]) -> ET.Element:
    import pygal

    charts = {"bars": pygal.Bar, "stacked": pygal.StackedBar}
    width, height = size
    chart = charts[plot.kind](
        width=width,
        height=height,
        explicit_size=False,
        js=[],
        css=[],
        no_prefix=True,
        disable_xml_declaration=True,
        show_legend=False,
        truncate_label=-1,
        show_x_guides=False,
        include_x_axis=True,
        margin=4,
        spacing=8,
        min_scale=2,
        max_scale=5,
        value_formatter=_value_text,
        classes=["plot", "wide" if size == _WIDE else "narrow"],
    )
    chart.title = None
    labels = [printable(label) for label in plot.labels]
    chart.x_labels = labels
    chart.x_labels_major_every = max(-(-len(labels) // _LABELS[size]), 1)
    chart.show_minor_x_labels = False
    for series in plot.series:
        chart.add(printable(series.name), list(series.values))
    root: ET.Element = chart.render_tree()
    for element in root.iter("g"):
        words = (element.get("class") or "").split()
        if "series" in words:
            _name_bars(element, plot, plot.series[int(words[1].removeprefix("serie-"))])
    _tidy(root)
    del root.attrib["id"]
    root.attrib |= {"role": "img", "aria-label": printable(plot.title)}
    return root


def _value_text(value: Any) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def _name_bars(group: ET.Element, plot: Plot, series: Series) -> None:
    """Give the bars of a series its colour, and each a title that a pointer and a screen reader find."""
    group.set("class", f"series tone-{series.tone}")
    unit = f" {plot.unit}" if plot.unit else ""
    for bar in group.iter("g"):
        if bar.get("class") == "bar":
            told = {child.get("class"): child.text or "" for child in bar.iter("desc")}
            title = ET.SubElement(bar, "title")
            title.text = f"{told['x_label']}: {told['value']}{unit} {series.name}"


def _tidy(root: ET.Element) -> None:
    """Take away what only pygal's own scripts need, and every style: the page has one of its own."""
    for parent in list(root.iter()):
        parent.attrib.pop("style", None)
        for child in list(parent):
            if _is_not_needed(child):
                parent.remove(child)


def _is_not_needed(element: ET.Element) -> bool:
    tag: object = element.tag
    if tag is ET.Comment:  # a function, where others have a name
        return True
    words = element.get("class", "").split()
    is_name = element.tag == "title" and element.text == "Pygal"
    return is_name or element.tag in _NOT_NEEDED or any(word.endswith("overlay") for word in words)
