"""The warm parent of trainers at its start, in an environment that is not as it should be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import ROOT

WARM_UP = """
import sys
from workers.attempts import starter
starter.PRELOADED[:] = sys.argv[1:]
starter.Starter("forkserver").warm_up()
"""


def warm_up(*preloaded: str, path: Path | str = "", tmp: Path | str = "/tmp") -> tuple[int, str]:
    """Start a warm parent that imports some modules; exit status, and all that was said."""
    done = subprocess.run(
        [sys.executable, "-c", WARM_UP, *preloaded],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{path}", "TMPDIR": str(tmp)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def test_one_whose_folder_has_too_long_a_name_for_a_socket_works(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 110)
    folder.mkdir()
    assert warm_up("json", tmp=folder) == (0, "")


def test_one_without_any_folder_for_a_socket_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 110)
    folder.mkdir()
    nowhere = WARM_UP.replace("starter.Starter", "starter.SHORT_FOLDERS = ('/nowhere',)\nstarter.Starter")
    done = subprocess.run(
        [sys.executable, "-c", nowhere],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Set TMPDIR to a shorter folder" in done.stderr


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise ImportError('libcudart.so.12: cannot open')", "libcudart.so.12: cannot open"),
        ("raise ValueError('numpy.dtype size changed')", "numpy.dtype size changed"),
        ("import os; os.write(2, b'out of memory'); os._exit(3)", "out of memory"),
    ],
    ids=["cannot import", "raises", "dies"],
)
def test_one_that_cannot_import_what_trainers_need_is_refused_and_what_it_said_is_seen(
    tmp_path: Path, source: str, words: str
) -> None:
    (tmp_path / "broken.py").write_text(source)
    code, said = warm_up("broken", path=tmp_path)
    assert code == 1
    assert words in said
    assert "The warm parent of the trainers does not start" in said
