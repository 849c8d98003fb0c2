"""Stores of tests, in a folder of either Zarr format or in icechunk, and their files by key."""

import json
import re
from pathlib import Path

import pytest

from flexclim.stores import Place
from flexclim.stores.datasets import open_input

KINDS = "folder", "zarr2", "icechunk"
# For tests that take long: only the repeat in a folder of format 3 belongs to the default run.
slow_repeats = pytest.mark.parametrize(
    "make_kept",
    [KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])],
    indirect=True,
)
METADATA = "zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata"


def new_store(kind, folder):
    """Return a path that is free, or a new repository."""
    if kind != "icechunk":
        return folder
    import icechunk

    return icechunk.Repository.create(icechunk.in_memory_storage())


class Kept:
    """A store, as other programs and disks see it: changes to a repository are committed."""

    def __init__(self, store, zarr_format):
        self.store, self.zarr_format = store, zarr_format

    def key(self, key):
        """Return the key of a shard, given by that in format 3; of a chunk in format 2.

        >>> Kept(None, 2).key("t/c/1/0/0/0")
        't/1.0.0.0'
        """
        if self.zarr_format == 3:
            return key
        name, _, *index = key.split("/")
        return f"{name}/{'.'.join(index)}"

    def index(self, key):
        """Return the name of the array that a shard belongs to, and its index."""
        name, _, index = key.partition("/")
        return name, tuple(int(number) for number in re.findall(r"\d+", index))

    @property
    def in_folder(self):
        return isinstance(self.store, Path)

    def keys(self, *prefixes):
        place = Place(self.store)
        return sorted(key for prefix in prefixes or ("",) for key in place.keys(prefix))

    def shards(self, *names):
        """Return the keys of the shards of arrays; those of chunks in format 2."""
        return [key for key in self.keys(*(f"{name}/" for name in names)) if _has_values(key)]

    def read(self, key):
        return Place(self.store).read(key)

    def change(self, files):
        """Write files behind flexclim's back; None deletes one."""
        place = Place(self.store)
        for key, content in files.items():
            if content is None:
                place.delete(key)
            elif self.in_folder:
                (self.store / key).write_bytes(content)
            else:
                place.write(key, content)
        place.commit("another program")

    def contents(self):
        """Return all files but the root's metadata, which tell when and how it was made."""
        place = Place(self.store)
        files = {key: place.read(key) for key in place.keys("") if key not in METADATA}
        if self.in_folder:
            return files
        # icechunk writes keys of metadata in an order of its own.
        return {k: json.loads(v) if k.endswith("json") else v for k, v in files.items()}

    def chunks(self):
        return {key: content for key, content in self.contents().items() if _has_values(key)}

    def attributes(self):
        return Place(self.store).group().attrs.asdict()

    def open(self):
        return open_input(Place(self.store).store)

    def save(self, ds, **options):
        """Write a dataset as any program may."""
        place = Place(self.store)
        ds.to_zarr(
            place.store, zarr_format=self.zarr_format, consolidated=self.in_folder, **options
        )
        place.commit("another program")

    def moment(self):
        """Return what :meth:`written_since` compares with."""
        if self.in_folder:
            return {key: (self.store / key).stat().st_mtime_ns for key in self.keys()}
        return self.store.lookup_branch("main")

    def written_since(self, moment):
        """Return the keys of chunks and shards that were written."""
        if self.in_folder:
            now = self.moment()
            return {key for key in now if _has_values(key) and moment.get(key) != now[key]}
        now = self.store.lookup_branch("main")
        if now == moment:
            return set()
        changed = self.store.diff(from_snapshot_id=moment, to_snapshot_id=now).updated_chunks
        return {
            "/".join([path.strip("/"), "c", *map(str, index)])
            for path, indices in changed.items()
            for index in indices
        }


def _has_values(key):
    return not key.endswith(METADATA)
