"""Sphinx extension: formulas become MathML when the pages are built.

Every current browser draws MathML by itself, so the pages need no script and no network. Brackets
and roots stretch only in a font made for mathematics, which few machines have: STIX Two Math, as
ziamath brings it, is copied beside the pages (robust_dist.css names it).
"""

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from docutils import nodes
from math_core import LatexToMathML
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

_CONVERTER = LatexToMathML()


def _inline(self: HTML5Translator, node: nodes.math) -> None:
    formula = _CONVERTER.convert_with_local_state(node.astext(), displaystyle=False)
    self.body.append(f'<span class="math">{formula}</span>')
    raise nodes.SkipNode


def _display(self: HTML5Translator, node: nodes.math_block) -> None:
    source = node.astext()
    if "\\\\" in source and "\\begin" not in source:
        source = rf"\begin{{aligned}}{source}\end{{aligned}}"
    formula = _CONVERTER.convert_with_local_state(source, displaystyle=True)
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(f"{formula}</div>\n")
    raise nodes.SkipNode


def _copy_font(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        with as_file(files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf") as font:
            shutil.copy(font, Path(app.outdir) / "_static")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer ``mathml``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    app.connect("build-finished", _copy_font)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
