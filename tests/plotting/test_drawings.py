import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from flexclim.plotting.drawings import drawing_of, new_figure

pytestmark = pytest.mark.usefixtures("close_figures")


def test_a_notebook_shows_each_figure_once(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    drawing = drawing_of(new_figure().subplots())
    drawing._ipython_display_()
    assert shown == []  # pyplot shows it at the end of the cell
    pyplot.close(drawing.figure)
    drawing._ipython_display_()
    own = drawing_of(Figure().subplots())
    own._ipython_display_()
    assert shown == [drawing.figure, own.figure]
