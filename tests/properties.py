"""How many examples a property is tried on: few in `make test`, all of them in `make long`."""

from hypothesis import settings

LONG = "long"
FEW = 60

settings.register_profile(LONG, settings.get_profile("default"))


def examples(whole: int, *, few: int = FEW) -> int:
    """`whole` under the profile of `make long`, else `few`; the test is to be marked `property`."""
    return whole if settings.get_current_profile_name() == LONG else min(whole, few)
