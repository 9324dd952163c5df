"""Sets Keras to what the catalog is written for, whatever the keras.json of a person says."""

import keras


def use_defaults() -> None:
    """Channels last, float32 and an epsilon of 1e-7: call it before anything is built or loaded."""
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
