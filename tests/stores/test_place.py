"""Stores behind URLs, against a real server that speaks S3 on loopback."""

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import xarray as xr
import zarr
from toys import PLAN, toy

from flexclim.errors import StoreError
from flexclim.stores import Place, check_store, lock, progress_of, write_store
from flexclim.stores.datasets import open_input

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint():
    server = pytest.importorskip("moto.server")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.slow) for name in ("fsspec", "obstore")]
)
def remote(request, endpoint, monkeypatch):
    """Return a name of a store in a new bucket, as a URL and as a store of zarr's own."""
    monkeypatch.setattr(lock, "SETTLED", 0.01)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    bucket = f"b{time.time_ns()}"
    s3fs = pytest.importorskip("s3fs")
    system = s3fs.S3FileSystem(endpoint_url=endpoint, skip_instance_cache=True)
    system.mkdir(bucket)
    if request.param == "fsspec":
        import fsspec

        monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": endpoint})
        return f"s3://{bucket}/deep/a.zarr"
    pytest.importorskip("obstore")
    from obstore.store import S3Store

    options = {"endpoint": endpoint, "region": "us-east-1", "client_options": {"allow_http": True}}
    return zarr.storage.ObjectStore(S3Store(bucket, prefix="deep/a.zarr", **options))


def small(**sizes):
    return toy(**({"times": 20, "members": 2} | sizes))


def test_a_remote_store_is_written_continued_extended_and_repaired(remote, zarr_format):
    first, lat = ("t/c/1/0/0/0", "lat/c/0") if zarr_format == 3 else ("t/1.0.0.0", "lat/0")
    write_store(small(), remote, PLAN)
    xr.testing.assert_equal(open_input(remote).load(), small().compute())
    place, calls = Place(remote), []
    write_store(small(calls=calls), remote, PLAN)
    assert calls == []
    assert progress_of(remote).complete
    content = bytearray(place.read(first))
    content[-1] ^= 1
    place.write(first, bytes(content))
    place.write(lat, b"short")
    assert set(check_store(remote)) == {first, lat}
    write_store(small(calls=calls), remote, PLAN)
    assert sorted(set(calls)) == [(m, t) for m in (0, 1) for t in range(16)]
    assert check_store(remote) == {}
    calls.clear()
    write_store(small(times=24, calls=calls), remote, PLAN)
    assert sorted(calls) == [(m, t) for m in (0, 1) for t in range(20, 24)]
    xr.testing.assert_equal(open_input(remote).load(), small(times=24).compute())
    with pytest.raises(StoreError, match="begun with seed 0, not 1"):
        write_store(small(), remote, PLAN | {"seed": 1})
    # Nothing of a run is left but the store.
    assert place.read_own("lock") is None
    assert place.read_own("damage") is None


def test_a_remote_lock_is_a_lease(remote, monkeypatch):
    place = Place(remote)
    held = {"writer": "elsewhere, process 7", "token": "x", "renewed": time.time()}
    place.write_own("lock", json.dumps(held).encode())
    begun = time.perf_counter()
    with pytest.raises(StoreError, match=r"by elsewhere, process 7 .*expires 2 minutes later"):
        write_store(small(times=1), remote, PLAN)
    assert time.perf_counter() - begun < 1
    assert progress_of(remote) is None
    # Its holder has not been heard of for long.
    held["renewed"] -= lock.EXPIRES_AFTER + 1
    place.write_own("lock", json.dumps(held).encode())
    write_store(small(times=1), remote, PLAN)
    assert place.read_own("lock") is None
    # A writer that is at work is heard of.
    monkeypatch.setattr(lock, "RENEW_EVERY", 0.05)
    with lock.locked(place):
        first = json.loads(place.read_own("lock"))["renewed"]
        time.sleep(0.4)
        assert json.loads(place.read_own("lock"))["renewed"] > first
        assert lock.is_locked(place)
    assert not lock.is_locked(place)


def test_of_two_writers_that_find_an_expired_lease_one_goes_on(remote, monkeypatch):
    if not isinstance(remote, str):
        pytest.skip("that store decides between writers: test_lock.py")
    place = Place(remote)
    expired = {
        "writer": "gone, process 7",
        "token": "x",
        "renewed": time.time() - lock.EXPIRES_AFTER - 1,
    }
    place.write_own("lock", json.dumps(expired).encode())
    other = {"writer": "elsewhere, process 8", "token": "y", "renewed": time.time()}

    def comes_second(seconds):
        """Take the lease like one that read the expired one before it was replaced."""
        place.write_own("lock", json.dumps(other).encode())

    monkeypatch.setattr(lock, "time", SimpleNamespace(time=time.time, sleep=comes_second))
    with pytest.raises(StoreError, match="written by elsewhere, process 8"):
        write_store(small(times=1), remote, PLAN)
    assert json.loads(place.read_own("lock"))["token"] == "y"


def test_a_lease_that_another_took_is_left_to_it(remote, monkeypatch):
    place = Place(remote)
    monkeypatch.setattr(lock, "RENEW_EVERY", 0.05)
    taken = {"writer": "elsewhere, process 7", "token": "x", "renewed": time.time()}
    with lock.locked(place):
        place.write_own("lock", json.dumps(taken).encode())
        time.sleep(0.2)
    assert json.loads(place.read_own("lock")) == taken


def test_what_can_not_be_reached_is_reported_in_one_line(endpoint, monkeypatch):
    with pytest.raises(StoreError, match="nowhere://a can't be opened"):
        Place("nowhere://a")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    import fsspec

    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": endpoint})
    with pytest.raises(StoreError, match="can't be written") as error:
        write_store(small(times=1), "s3://no-such-bucket/a.zarr", PLAN)
    assert "\n" not in str(error.value)


class Unreachable(zarr.storage.MemoryStore):
    """A store whose server does not answer."""

    async def get(self, *arguments, **options):
        self.requests = getattr(self, "requests", 0) + 1
        raise RuntimeError("Could not connect\nto the endpoint.")


@pytest.mark.parametrize(
    "use", [open_input, check_store, progress_of, lambda store: write_store(small(), store, PLAN)]
)
def test_a_server_that_does_not_answer_is_named_after_one_request(use):
    """Requests that are left when one fails print their errors when the program ends."""
    store = Unreachable()
    with pytest.raises(
        StoreError, match=r"can't be reached: Could not connect to the endpoint\. Check its address"
    ):
        use(store)
    assert store.requests == 1


@pytest.mark.slow
def test_a_wrong_endpoint_is_told_in_one_line(tmp_path, monkeypatch):
    """The program ends without tracebacks of requests that were left."""
    pytest.importorskip("s3fs")
    wrong = {"FSSPEC_S3_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "flexclim", "info", "s3://bucket/a.zarr"],
        env=os.environ | KEYS | wrong,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "s3://bucket/a.zarr can't be reached: Could not connect to the endpoint" in line
    assert "GRIB" not in line
