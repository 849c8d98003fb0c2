"""Figures that a notebook or ``plt.show()`` shows, returned with what was drawn into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

A = TypeVar("A")


class Drawing(NamedTuple, Generic[A]):
    """A figure and its axes: ``figure, axes = verify.plot.spectrum(scores, "u10")``.

    Attributes
    ----------
    figure
        To be saved with ``figure.savefig``, for example.
    axes
        The axes, or an array of axes, that were drawn into.
    """

    figure: Figure
    axes: A

    def _ipython_display_(self) -> None:
        """Show a figure that pyplot does not show at the end of a notebook's cell."""
        from matplotlib import pyplot

        if getattr(self.figure, "number", None) not in pyplot.get_fignums():
            from IPython.display import display

            display(self.figure)  # type: ignore[no-untyped-call]


def new_figure(**options: Any) -> Figure:
    """Return a new figure of pyplot, which notebooks and ``plt.show()`` show."""
    from matplotlib import pyplot

    return pyplot.figure(layout="constrained", **options)


def drawing_of(ax: Axes) -> Drawing[Axes]:
    """Return axes with their figure."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return Drawing(figure, ax)
