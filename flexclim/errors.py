"""What flexclim raises when an input can't be used.

Each error carries one message: what was found, in values, then what to do. All are
:class:`ValueError`, so that code that knows nothing of flexclim can still catch them.
"""


class FlexclimError(ValueError):
    """Something in the input, a file or a setting can't be used."""


class GridError(FlexclimError):
    """The grid of a field can't be found, is irregular, or does not fit the factor."""


class ModelError(FlexclimError):
    """A model is missing, damaged, or does not fit the field."""


class RecipeError(FlexclimError):
    """A training recipe has an unknown setting, a wrong value or unusable data."""


class StoreError(FlexclimError):
    """An output store can't be written, continued or trusted."""


class AlignmentError(FlexclimError):
    """Two fields that belong together differ in coordinates, times or units."""


class FlexclimWarning(UserWarning):
    """A field is far from what a model was trained on; its members may be wrong."""
