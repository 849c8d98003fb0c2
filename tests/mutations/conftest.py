"""What files under attack share: payloads that would be noticed, and the one way to fail."""

import os
import sys

import numpy as np
import pytest

from flexclim.errors import FlexclimError

LONGEST = 600
WATCHED = {"os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class"}


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


class Guard:
    """Loads files that were tampered with: refused in one line, or as good as untouched."""

    def __init__(self, folder):
        self.folder, self.watching, self.seen = folder, False, []
        sys.addaudithook(self._hear)

    def _hear(self, event, args):
        if self.watching and event in WATCHED:
            self.seen.append((event, args))

    @property
    def payload(self):
        return Payload(self.folder / "executed")

    def load(self, load, what):
        """Return whether a file was refused; ``load`` says whether what it gives is intact."""
        self.watching = True
        try:
            intact = load()
        except FlexclimError as error:
            refused, text = True, str(error)
            assert "\n" not in text, f"{what}: {text}"
            assert 10 < len(text) < LONGEST, f"{what}: {text}"
        else:
            refused = False
            assert intact, f"{what}: loaded silently"
        finally:
            self.watching = False
        assert not (self.folder / "executed").exists(), f"{what}: code was run"
        assert not self.seen, f"{what}: {self.seen}"
        return refused


@pytest.fixture(scope="session")
def guard(tmp_path_factory):
    guard = Guard(tmp_path_factory.mktemp("guard"))
    guard.watching = True
    os.system("true")
    guard.watching = False
    assert guard.seen, "the guard sees nothing"
    guard.seen.clear()
    return guard


@pytest.fixture(params=[pytest.param("short"), pytest.param("long", marks=pytest.mark.slow)])
def rounds(request):
    """How often each way of tampering is tried: once, or until 500 files are made."""
    return {"short": 1, "long": 5}[request.param]


def flip(content, random, count=1, stop=None):
    """Return bytes with a few bits flipped."""
    damaged = bytearray(content)
    for place in random.integers(min(stop or len(damaged), len(damaged)), size=count):
        damaged[place] ^= 1 << int(random.integers(8))
    return bytes(damaged)


def cut(content, random):
    """Return the first part of some bytes."""
    return content[: int(random.integers(len(content)))]


@pytest.fixture(scope="session")
def damage():
    """Return ways to damage any file: bytes and a random generator in, bytes out."""
    return {
        "cut": cut,
        "one bit": flip,
        "some bits": lambda c, r: flip(c, r, 1 + int(r.integers(40))),
        "a bit at the start": lambda c, r: flip(c, r, 1, 4096),
        "a hole": lambda c, r: c[: (n := int(r.integers(len(c))))] + bytes(len(c) - n),
        "garbage behind": lambda c, r: c + r.bytes(1 + int(r.integers(1000))),
        "garbage before": lambda c, r: r.bytes(1 + int(r.integers(100))) + c,
        "noise": lambda c, r: r.bytes(len(c) // 10 + 1),
        "twice": lambda c, r: c + c,
        "a piece moved": lambda c, r: c[(n := int(r.integers(1, len(c)))) :] + c[:n],
        "empty": lambda c, r: b"",
    }


@pytest.fixture
def randoms(rounds):
    """Return random generators, one a round."""
    return [np.random.default_rng([rounds, number]) for number in range(rounds)]
