"""A warm parent of trainers, images for them, commands run in this process, and processes of nobody's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from service.cli.main import main
from workers.attempts.starter import Starter


@pytest.fixture
def home(tmp_path: Path, sqlite_with_tables: Path) -> Path:
    """A data folder with an embedded database in which nothing is yet."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(sqlite_with_tables, home / "cnnctl.db")
    return home


@pytest.fixture
def cnnctl(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command in this process; `code` is the exit status that is expected."""
    for name in [name for name in os.environ if name.startswith("CNNCTL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CNNCTL_HOME", str(home))

    def run(*words: str, code: int = 0, **settings: str) -> Result:
        done = CliRunner().invoke(main, words, env=settings)
        assert isinstance(done.exception, SystemExit | None), repr(done.exception)
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture(scope="session")
def starter() -> Starter:
    starter = Starter("forkserver")
    starter.warm_up()
    return starter


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with three classes of 40 images each, of several sizes and modes."""
    random = np.random.default_rng(0)
    for label in range(3):
        folder = tmp_path / "photographs" / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(40):
            height, width = random.integers(30, 60, 2)
            pixels = random.integers(0, 120, (height, width, 3)).astype(np.uint8)
            pixels[..., label] += 100
            image = Image.fromarray(pixels)
            image.convert("L" if number % 10 == 0 else "RGB").save(folder / f"{number}.jpg")
    return tmp_path / "photographs"


# Starts a program with an open file and ends; the program waits for the end of its input.
ORPHANING = """
import subprocess, sys
held = open(sys.argv[1])
words = [sys.executable, "-c", "import sys; sys.stdin.read()"]
outputs = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
options = {"stdin": 0, "start_new_session": True, "pass_fds": [held.fileno()], **outputs}
print(subprocess.Popen(words, **options).pid)
"""


@pytest.fixture
def start_stranger() -> Iterator[Callable[..., int]]:
    """Start a process that nothing relates to this one, with a file open."""
    reading, writing = os.pipe()

    def start(path: Path = Path(os.devnull)) -> int:
        made = subprocess.run(
            [sys.executable, "-c", ORPHANING, str(path)],
            stdin=reading,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(made.stdout)

    yield start
    os.close(reading)
    os.close(writing)  # their input ends, and so do they
