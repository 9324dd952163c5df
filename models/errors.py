"""The errors of `models`; a message says what is wrong, what is expected and what was received."""


class DatasetError(ValueError):
    """A dataset cannot be loaded, or its files do not hold what they must."""


class CannotExport(ValueError):
    """A network cannot be written where it was asked for."""


class DivergedNetwork(ValueError):
    """A network holds numbers that are not finite: what it answers says nothing."""


class CannotSlide(ValueError):
    """A network cannot be slid over a larger image, because it has no feature maps."""
