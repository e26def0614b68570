"""Plots as SVG within an HTML page."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import TYPE_CHECKING

from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any
    from xml.etree.ElementTree import Element

    from matplotlib.axes import Axes

__all__ = ["inline_plot"]

_SVG = "http://www.w3.org/2000/svg"
_LINK = "http://www.w3.org/1999/xlink"
_SIZE = (5.6, 5.0)


def inline_plot(draw: Callable[[Axes], Any], name: str, meaning: str) -> str:
    """Draw a plot as an SVG element without anything that is loaded.

    Args:
        draw: Draws on the given axes.
        name: What its ids start with, so that they are unique on the page.
        meaning: What the plot shows, for those who cannot see it; its title is put before it.

    Raises:
        SutroConfigurationError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise SutroConfigurationError(
            "Plots need matplotlib: pip install 'langchain-sutro[plots]'"
        ) from error
    # The user's own style may have white ink, and pyplot would keep the figure.
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": name, "axes.titlesize": 11})
        # Characters that matplotlib's own font lacks are drawn by the browser.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.subplots()
        draw(axes)
        title = axes.get_title()
        file = BytesIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _embedded(file.getvalue(), name, f"{title}. {meaning}")


def _embedded(svg: bytes, name: str, meaning: str) -> str:
    """The element alone, with ids of its own and a name for screen readers."""
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - matplotlib wrote it, just now

    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _LINK)
    root = ET.fromstring(svg)  # noqa: S314 - as above
    for child in [one for one in root if one.tag.endswith("metadata")]:
        root.remove(child)
    for element in root.iter():
        _rename(element, name)
    # Its size follows from the page.
    for attribute in ("width", "height"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", meaning)
    return ET.tostring(root, encoding="unicode")


def _rename(element: Element, name: str) -> None:
    for attribute, value in element.attrib.items():
        if attribute == "id":
            element.set(attribute, f"{name}-{value}")
        elif attribute == f"{{{_LINK}}}href" and value.startswith("#"):
            element.set(attribute, f"#{name}-{value[1:]}")
        elif "url(#" in value:
            element.set(attribute, value.replace("url(#", f"url(#{name}-"))
