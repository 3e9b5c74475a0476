"""How the documentation becomes a site: ``make docs`` builds it, and nothing in it is fetched from elsewhere."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

project = "loader"
author = "the contributors to loader"
html_title = "loader"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_templates", "_static"]
templates_path = ["_templates"]

# Headings get the anchors that repository hosts give them, so that a link works in both places.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
highlight_language = "none"

# Each reference must have a target, except for types that are documented elsewhere.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!loader\.).*")]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False
python_maximum_signature_line_length = 88

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {"**": ["pages"]}
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False
html_domain_indices = False
html_theme_options = {
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "footer_start": [],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "article_header_start": [],
    "show_toc_level": 2,
}


def show_empty(*arguments: Any) -> tuple[str, str] | None:
    """Return a signature with ``{}`` for a default that is made anew for each value: all of ours are empty mappings."""
    signature, returned = arguments[-2:]
    return (signature.replace("<factory>", "{}"), returned) if "<factory>" in (signature or "") else None


def setup(app: Sphinx) -> None:
    """Register what this site adds to Sphinx."""
    app.connect("autodoc-process-signature", show_empty)
