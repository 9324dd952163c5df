"""The version of this package."""

from importlib.metadata import PackageNotFoundError, version


def find_version() -> str:
    """The installed version; `unknown` where the package was only unpacked."""
    try:
        return version("cnnctl")
    except PackageNotFoundError:
        return "unknown"
