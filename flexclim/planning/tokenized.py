"""Plain data that is compared by a hash of its content, equal in every process."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

from dask.base import tokenize


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokenized:
    """Plain data that is compared and hashed by a token, since it holds arrays.

    Fields declared with ``compare=False`` do not count.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    @cached_property
    def token(self) -> str:
        """A hash of everything that determines the values, equal in every process."""
        names = [item.name for item in dataclasses.fields(self) if item.compare]
        return str(tokenize({name: getattr(self, name) for name in names}))

    def __dask_tokenize__(self) -> str:
        return self.token
