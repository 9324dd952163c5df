"""A dataset by path, seen from a host that only submits: the worker reads it, on its own host."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli.main import main
from service.store.transaction import Store

WARNING = "on its own host: the job fails if it is not at this path there"


def submit(url: str, home: Path, dataset: str, **more: str) -> str:
    given = {"CNNCTL_DATABASE_URL": url, "CNNCTL_HOME": str(home), **more}
    done = CliRunner().invoke(main, ["submit", "lenet5", "--dataset", dataset], env=given)
    assert done.exit_code == 0, done.output
    return done.stderr


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_folder_that_only_the_submitting_host_may_have_is_warned_of(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    elsewhere = f"folder:{tmp_path / 'photos'}"
    assert f"The worker reads {elsewhere} {WARNING}" in submit(store_url, tmp_path, elsewhere)
    assert WARNING not in submit(store_url, tmp_path, "digits")
    broker = {"CNNCTL_BROKER_URL": "redis://127.0.0.1:1/0"}
    assert WARNING not in submit(store_url, tmp_path, elsewhere, **broker)
