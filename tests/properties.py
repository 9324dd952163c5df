"""How many examples a property is tried on: few in `make test`, all of them in `make long`."""

import os

EVERY_EXAMPLE = bool(os.environ.get("EVERY_EXAMPLE"))  # as make long sets it
FEW = 60


def examples(whole: int, *, few: int = FEW) -> int:
    """`whole` in `make long`, else `few`; the test is to be marked `property`."""
    return whole if EVERY_EXAMPLE else min(whole, few)
