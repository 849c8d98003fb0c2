"""The version, in one place: the package, its metadata and its outputs read it here."""

__version__ = "0.2.0.dev0"
