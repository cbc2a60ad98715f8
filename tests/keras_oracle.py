"""Keras in a process of its own: it has one backend and one float type per process, and writes to KERAS_HOME."""

import importlib.util
import os
import subprocess
import sys

import pytest


def run_keras(script, home, *arguments, given=""):
    """What ``script`` prints; ``given`` is what it reads."""
    if not all(map(importlib.util.find_spec, ("keras", "torch"))):
        pytest.skip("keras is the oracle of these tests and runs here on torch; pip install keras torch")
    environment = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, input=given, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
