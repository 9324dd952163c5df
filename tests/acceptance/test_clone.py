"""The README's first command where little is as its author has it: another person's, in an odd folder."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRIVATE = 0o077  # the umask of many labs
PLAIN = ["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups"]
# Where Python itself lies in root's home: may read as root does, and write as a plain user.
READING = [*PLAIN, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


@pytest.fixture(scope="module")
def plain_user() -> Sequence[str]:
    """Words that make a command a plain user's; none when the tests are already run by one."""
    if os.geteuid():
        return []
    find_library = [sys.executable, "-c", "import os; print(os.__file__)"]
    for words in (PLAIN, READING):
        found = subprocess.run([*words, *find_library], capture_output=True, text=True, check=False)
        if found.stdout.strip() == os.__file__:
            return words
    pytest.skip("no plain user can start this Python")


@pytest.fixture
def clone(plain_user: Sequence[str]) -> Iterator[Path]:
    """The files of this working tree, as a clone would have them, in a folder with an awkward name.

    Not among pytest's folders, which are closed to other users.
    """
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout, so nothing says which files a clone has")
    files = [name for name in listed.stdout.rstrip("\0").split("\0") if (ROOT / name).is_file()]
    with tempfile.TemporaryDirectory(prefix="cnnctl-clone-") as folder:
        clone = Path(folder) / "Ada's café clone"
        clone.mkdir(mode=0o700)
        Path(folder).chmod(0o755)
        subprocess.run(["cp", "--parents", "-t", clone, *files], cwd=ROOT, umask=PRIVATE, check=True)
        if plain_user:
            subprocess.run(["chown", "-R", "daemon:daemon", clone], check=True)
        yield clone


@pytest.fixture
def run(clone: Path, plain_user: Sequence[str]) -> Callable[..., str]:
    """Run a command in the clone: no language, a home that cannot be written, files closed to others."""
    home = clone.parent / "home"
    home.mkdir(mode=0o555)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C", "LC_ALL": "C"}

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            [*plain_user, *words],
            cwd=clone,
            env=environment,
            umask=PRIVATE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.fixture
def installed(clone: Path, run: Callable[..., str]) -> Path:
    """The clone after `make install`, with our packages lent instead of installed again, and its own code."""
    run(sys.executable, "-m", "venv", "--without-pip", ".venv")
    purelib = run(".venv/bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    run("sh", "-c", 'echo "$1" > "$2"', "sh", sysconfig.get_path("purelib"), f"{purelib}/lent.pth")
    uv = Path(sys.executable).with_name("uv")
    options = ["--quiet", "--offline", "--cache-dir", ".venv/cache", "--no-deps", "--no-build-isolation"]
    run(uv, "pip", "install", *options, "--python", ".venv/bin/python", "-e", ".")
    run("touch", ".venv/installed")
    return clone


def test_the_demo_runs_in_any_folder_for_a_plain_user_without_home_or_language(
    installed: Path, run: Callable[..., str]
) -> None:
    shown = run("make", "demo")
    assert "Installing" not in shown
    assert "Job 1 succeeded after 15 epochs" in shown
    assert list(installed.glob(".demo/runs/1/1/model.keras"))
    assert list(installed.glob("workers/train/__pycache__/trainer.*")), "the trainer ran other code"
    made = [path for path in installed.glob(".demo/**/*") if not path.is_symlink()]
    assert [path for path in made if path.stat().st_mode & PRIVATE] == []
    assert list((installed.parent / "home").iterdir()) == []
