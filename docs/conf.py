"""How Sphinx builds these pages: notebooks executed, warnings are errors (`make docs`).

Nothing is downloaded, unless `FLEXCLIM_DOCS_ONLINE` or a documentation server asks for links into
the documentation of other packages.
"""

import os
import sys
from pathlib import Path

from flexclim._version import __version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
os.environ["FLEXCLIM_PRECISION"] = "float32"  # outputs must not depend on the processor
os.environ["TQDM_DISABLE"] = "1"  # no bars of progress among the outputs of notebooks

project = "flexclim"
author = "The flexclim developers"
copyright = "2026, The flexclim developers"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "output_checks",
    "pictures",
]
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "furo"
html_title = f"flexclim {version}"
html_static_path = ["_static"]
html_css_files = ["flexclim.css"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

# The copy button takes commands without prompts and output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False

if os.environ.get("READTHEDOCS") or os.environ.get("FLEXCLIM_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "xarray": ("https://docs.xarray.dev/en/stable", None),
        "dask": ("https://docs.dask.org/en/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "cartopy": ("https://cartopy.readthedocs.io/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "xskillscore": ("https://xskillscore.readthedocs.io/en/stable", None),
    }
