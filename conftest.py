"""How tests share the cores of a machine; fixtures lie in tests/conftest.py."""

import os
import signal

import pytest

# Several workers share the cores, so each of them computes on one thread. This has to happen before
# numpy or torch are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")  # figures of pyplot open no window
# Values must not depend on the processor.
os.environ.setdefault("FLEXCLIM_PRECISION", "float32")
# A shell lets what it starts in the background ignore Ctrl-C; tests of it send one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config):
    """Run the whole suite on all cores, but named files or folders in one process."""
    named = config.args_source is config.ArgsSource.ARGS
    return 0 if named else None
