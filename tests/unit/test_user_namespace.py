"""Numbers of users mean what they say in the initial user namespace only."""

import pytest

from service.process import is_whole_map


@pytest.mark.parametrize(
    ("uid_map", "whole"),
    [
        ("         0          0 4294967295\n", True),
        ("         0       1000          1\n", False),  # unshare --map-root-user
        ("      1001       1000          1\n", False),  # unshare --map-user=1001
        ("         0     100000      65536\n", False),  # a rootless container
        ("0 0 4294967294\n", False),
        ("0 0 1\n1 1 4294967294\n", False),
        ("", False),
    ],
)
def test_only_a_map_of_each_number_to_itself_is_that_of_the_machine(uid_map: str, *, whole: bool) -> None:
    assert is_whole_map(uid_map) is whole
