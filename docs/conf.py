"""Sphinx configuration; CONTRIBUTING.md gives the command that builds the pages."""

import os
import shutil
import sys
from pathlib import Path

import robust_dist

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

# Sphinx reads below its own folder only; the notebooks live beside it.
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks", ignore=shutil.ignore_patterns(".*"))

# tqdm asks for a widget that no page shows; kernels inherit the filter.
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"

project = "robust_dist"
author = "The robust_dist developers"
project_copyright = author
release = version = robust_dist.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "mathml",
]
exclude_patterns = ["_build", "jupyter_execute"]
nitpicky = True
nitpick_ignore = [
    ("py:exc", "InputError"),  # described in words
    # annotations of other packages, whose inventories a build without a network cannot ask for
    ("py:class", "jax.Array"),
    ("py:class", "numpyro.distributions.distribution.Distribution"),
]

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

# Every page with code runs anew on every build: what is shown is what this version prints.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # of one cell, on a busy machine
nb_execution_show_tb = True
nb_merge_streams = True

napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_typehints = "none"  # the docstrings say what the arguments are
autodoc_member_order = "bysource"
default_role = "code"

html_theme = "furo"
html_title = f"robust_dist {release}"
html_static_path = ["_static"]
html_css_files = ["robust_dist.css"]
html_math_renderer = "mathml"
html_copy_source = False
