"""Gives the tests of `models` two logical CPU devices and a network factory."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from models.catalog import Choice


@pytest.fixture(scope="session", autouse=True)
def _two_logical_devices() -> None:
    """Split the CPU in two, so that strategies have replicas; possible only before the first operation."""
    if "tensorflow" not in sys.modules:  # only tests that need no TensorFlow were collected
        return
    import tensorflow as tf

    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)


@pytest.fixture
def build() -> Callable[..., Any]:
    """Return `build_model` with defaults for everything."""
    from models.build import build_model

    def build(architecture: str = "lenet5", **overrides: object) -> Any:
        arguments: dict[str, Any] = {
            "input_shape": (32, 32, 3),
            "num_classes": 10,
            "seed": 7,
            "init": Choice(name="glorot_uniform"),
            "activation": "relu",
            "dropout": Choice(name="none"),
            "norm": "none",
            "l1": 0.0,
            "l2": 0.0,
            "options": {},
        }
        return build_model(architecture, **{**arguments, **overrides})

    return build
