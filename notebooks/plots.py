"""Shows plots of Altair wide and as PNG: in Jupyter Lab, on GitHub, on paper, without JavaScript.

Jupyter Lab shows SVG, and Vega only up to version 5, in notebooks that it trusts; PNG in all.
"""

from __future__ import annotations

import base64
import html
import io
import re
from typing import Any

import altair as alt
import vl_convert
from PIL import Image

_SCALE = 2
_COLOURS = 64
"""PNG with a palette of so many colours are a sixth as large, and look the same."""
_LABEL = re.compile(r'aria-roledescription="(?:axis|legend)" aria-label="([^"]*)"')


def enable() -> None:
    """Show all plots that follow in this way."""
    alt.theme.register("wide", enable=True)(_theme)
    alt.renderers.register("png with words", _render)
    alt.renderers.enable("png with words")


def _theme() -> alt.theme.ThemeConfig:
    return {
        "config": {
            "view": {"continuousWidth": 640, "discreteWidth": 640, "continuousHeight": 240},
            "legend": {"orient": "top"},
            "axisXBand": {"titlePadding": 12},
            "axisYBand": {"titlePadding": 12},
        }
    }


def _render(spec: dict[str, Any], **_: Any) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Return a PNG, and in words its title, axes and legends; and its size on a page, in pixels."""
    svg = vl_convert.vegalite_to_svg(spec)
    image = Image.open(io.BytesIO(vl_convert.svg_to_png(svg, scale=_SCALE))).convert("RGB")
    png = io.BytesIO()
    image.quantize(_COLOURS).save(png, "png", optimize=True)
    words = "\n".join([str(spec.get("title", "")), *map(html.unescape, _LABEL.findall(svg))])
    forms = {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": words}
    size = {"width": image.width // _SCALE, "height": image.height // _SCALE}
    return forms, {"image/png": size}
