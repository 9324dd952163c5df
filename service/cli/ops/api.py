"""cnnctl api: the process that people and programs talk to."""

import importlib.util

import click

from service.cli.session import open_until_end
from service.errors import MissingExtra
from service.log import configure_log
from service.parent import stop_when_parent_ends
from service.private_files import open_to_group
from service.settings import load_settings


@click.command("api")
@click.option("--stop-with-stdin", is_flag=True, hidden=True)
def command(stop_with_stdin: bool) -> None:
    """Serve the API, on CNNCTL_SOCKET and CNNCTL_API_ADDRESS.

    Over the socket the kernel says who asks; over the address people come with tokens, and browsers by
    cnnctl web. SIGTERM stops it; jobs that run go on.
    """
    if importlib.util.find_spec("uvicorn") is None:
        raise MissingExtra("The API needs FastAPI and uvicorn. Install them with: pip install 'cnnctl[api]'")
    from service.api.server import serve
    from service.web.site import make_site

    settings = load_settings()
    configure_log(settings.log_level)
    open_to_group(settings, folders=[settings.home_dir])
    if stop_with_stdin:
        stop_when_parent_ends()
    store = open_until_end(settings)
    store.wait_until_ready()
    serve(make_site(store, settings), settings)
