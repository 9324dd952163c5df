"""Gives the tests of `models` two logical CPU devices and a network factory."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import pytest

from models.catalog.lookup import get_architecture
from models.catalog.network_config import NetworkConfig, network_defaults

FIELDS = {field.name for field in dataclasses.fields(NetworkConfig) if field.init}


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
    """Return `build_model` with defaults for everything: no dropout, no norm, the network's own pooling."""
    from models.build import build_model

    def build(architecture: str = "lenet5", **overrides: Any) -> Any:
        chosen = {name: overrides.pop(name) for name in FIELDS & overrides.keys()}
        defaults = network_defaults(get_architecture(architecture), dropout=chosen.get("dropout", "none"))
        own = {name: value for name, value in defaults.items() if name in ("pool", "dropout_place")}
        arguments = {"input_shape": (32, 32, 3), "num_classes": 10, "seed": 7, **overrides}
        return build_model(NetworkConfig(architecture=architecture, **{**own, **chosen}), **arguments)

    return build
