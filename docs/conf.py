"""How Sphinx builds these pages: offline, notebooks executed, warnings are errors (`make docs`)."""

import os

from flexclim._version import __version__

os.environ["TQDM_DISABLE"] = "1"  # no bars of progress among the outputs of notebooks

project = "flexclim"
author = "The flexclim developers"
copyright = "2026, The flexclim developers"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "furo"
html_title = f"flexclim {version}"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
