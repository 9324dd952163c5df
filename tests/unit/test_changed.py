"""Which tests make fast chooses."""

from pathlib import Path

import pytest

from tests.changed import select_tests

FILES = {
    "tests/unit/test_spec.py": "from service.domain import spec\n",
    "tests/store/test_jobs.py": "from service.store.jobs.audit import add_entry\nimport service.errors\n",
    "tests/acceptance/test_way.py": "from service.errors import CnnctlError\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "chosen"),
    [
        ("service/domain/spec.py", ["tests/unit/test_spec.py"]),
        ("service/store/jobs/audit.py", ["tests/store/test_jobs.py"]),
        ("service/errors.py", ["tests/store/test_jobs.py"]),  # not the whole stack for a module of many
        ("tests/acceptance/test_way.py", ["tests/acceptance/test_way.py"]),
        ("tests/unit/test_deleted.py", []),
        ("README.md", []),
    ],
)
def test_tests_that_changed_or_import_what_changed_are_chosen(
    root: Path, changed: str, chosen: list[str]
) -> None:
    assert select_tests([changed], root) == chosen
