"""Everybody is who the kernel or a token says, whatever else they claim; nobody changes what is another's."""

import json
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from cnnctl.errors import NotAllowed, NotAuthenticated
from cnnctl.http_client import HttpClient
from cnnctl.views.requests import TokenRequest
from service.commands.people.credentials import (
    create_token,
    get_actor,
    open_session_by_token,
    revoke_token,
)
from service.commands.people.sightings import Sightings
from service.db.tables import credentials, sightings
from service.domain.credentials import CredentialId
from service.domain.people import Actor
from service.domain.states import CredentialKind
from service.store.people.sightings import list_sightings
from service.store.transaction import Store, open_store
from tests.api.conftest import Api, as_user
from tests.conftest import ADA, Clock

SUBMIT = ("submit", "lenet5", "--dataset", "synthetic")


def test_people_submit_with_no_setting_and_each_job_is_its_persons(api: Api, people: tuple[str, str]) -> None:
    ada, bob = people
    mine = [api.run(*SUBMIT, user=name).stdout.strip() for name in people]
    owners = {
        str(job["job"]): job["owner"] for job in json.loads(api.run("status", "--json", user=ada).stdout)
    }
    assert owners == dict(zip(mine, people, strict=True))
    refused = api.run("cancel", mine[0], user=bob, code=5)
    assert f"Job {mine[0]} is {ada}'s" in refused.stderr
    api.run("cancel", mine[0], user=ada)
    api.run("cancel", mine[1])  # root
    entries = json.loads(api.run("audit", "--json", user=bob).stdout)
    acts = [(one["actor"], one["via"], one["action"], one["name"]) for one in reversed(entries)]
    assert acts == [
        (ada, "socket", "submitted", mine[0]),
        (bob, "socket", "submitted", mine[1]),
        (ada, "socket", "cancelled", mine[0]),
        ("root", "socket", "cancelled", mine[1]),
    ]


def test_nothing_that_a_person_says_makes_them_another(shared_api: Api, people: tuple[str, str]) -> None:
    api = shared_api
    ada, bob = people
    token = json.loads(api.run("token", "create", "--name", "x", "--json", user=ada).stdout)["secret"]
    claims = {"USER": ada, "LOGNAME": ada, "SUDO_USER": ada, "CNNCTL_TOKEN": token}
    assert api.run("whoami", user=bob, **claims).stdout.startswith(f"{bob}, by socket")
    headers = [
        "-H",
        f"Authorization: Bearer {token}",
        "-H",
        f"X-Forwarded-User: {ada}",
        "-H",
        "X-Remote-User: root",
    ]
    for around in ([], ["unshare", "-Ur"]):
        words = [*as_user(bob), *around, "curl", "-s", *headers, "--unix-socket", str(api.socket)]
        done = subprocess.run([*words, "http://x/api/v1/me"], capture_output=True, text=True, check=False)
        if around and done.returncode:
            continue  # this machine makes no user namespaces
        assert json.loads(done.stdout)["name"] == bob


def test_a_user_without_a_name_is_refused(shared_api: Api, people: tuple[str, str]) -> None:
    api = shared_api
    curl = ["curl", "-s", "--unix-socket", str(api.socket), "http://x/api/v1/me"]
    for uid in (65534, 54321):
        words = ["setpriv", f"--reuid={uid}", "--regid=65534", "--clear-groups", *curl]
        problem = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        assert (problem["status"], problem["type"]) == (401, "urn:cnnctl:not-authenticated")
        assert f"User number {uid} has no name" in problem["detail"]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_an_administrator_may_change_everybodys_jobs(api: Api, people: tuple[str, str]) -> None:
    ada, bob = people
    job = api.run(*SUBMIT, user=ada).stdout.strip()
    assert "Only an administrator" in api.run("users", "set", bob, "--admin", user=bob, code=5).stderr
    api.run("users", "set", bob, "--admin")
    api.run("cancel", job, user=bob)
    seen = {user["name"]: user["uid"] for user in json.loads(api.run("users", "--json").stdout)}
    assert seen[bob] == int(subprocess.check_output(["id", "-u", bob]))


def test_a_token_is_its_owner_within_its_scope_until_it_is_revoked(api: Api) -> None:
    owner = api.client()
    me = owner.get_me().name
    tokens = {
        scope: owner.create_token(TokenRequest(name=scope, scope=scope))
        for scope in ("read", "submit", "admin")
    }
    clients = {scope: HttpClient.at(api.url, token=made.secret) for scope, made in tokens.items()}
    for scope, client in clients.items():
        found = client.get_me()
        assert (found.name, found.scope, found.via) == (me, scope, f"token {scope}")
        assert found.administrator == (scope == "admin")
        assert found.origin == "127.0.0.1"
        with pytest.raises(NotAllowed, match="No token may make a token"):
            client.create_token(TokenRequest(name="another"))
    hook: dict[str, object] = {"weight": 2.0}
    for scope in ("read", "submit"):
        with pytest.raises(NotAllowed, match=f"by token {scope} of scope {scope}"):
            clients[scope].change_user("ada", hook)
    assert clients["admin"].change_user("ada", hook).weight == 2.0
    owner.revoke_token(tokens["admin"].token)
    with pytest.raises(NotAuthenticated):
        clients["admin"].get_me()
    assert [one.name for one in owner.list_tokens()] == ["read", "submit"]


@pytest.mark.parametrize("token", ["", "cnn_", "cnn_" + 43 * "A", "x" * 5000, "cnn_é"])
def test_a_token_that_is_none_is_told_how_to_get_one(shared_api: Api, token: str) -> None:
    api = shared_api
    words = ["curl", "-s", "-i", "-H", f"Authorization: Bearer {token}", f"{api.url}/api/v1/me"]
    answer = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert answer.startswith("HTTP/1.1 401 ")
    assert "www-authenticate: Bearer" in answer
    assert "cnnctl token create" in answer


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_token_that_has_expired_is_none(api: Api, store_url: str) -> None:
    owner = api.client()
    client = HttpClient.at(api.url, token=owner.create_token(TokenRequest(name="short")).secret)
    assert client.get_me().scope == "submit"
    with closing(open_store(store_url)) as store, store.transaction() as tx:
        tx.connection.execute(update(credentials).values(expires_at=tx.now - timedelta(seconds=1)))
    with pytest.raises(NotAuthenticated, match="not valid, or no longer"):
        client.get_me()
    assert owner.list_tokens() == []


def test_a_secret_is_stored_nowhere(api: Api, store_url: str) -> None:
    secret = api.client().create_token(TokenRequest(name="laptop")).secret
    places = [str(api.home), str(api.log)]
    if store_url.startswith("sqlite"):
        places += [str(path) for path in Path(store_url.removeprefix("sqlite:///")).parent.glob("cnnctl.db*")]
    found = subprocess.run(["grep", "-rl", secret, *places], capture_output=True, check=False)
    assert found.stdout == b""


def test_a_person_may_come_in_for_the_first_time_by_several_ways_at_once(store: Store) -> None:
    """The first request of each way records them; the row must not be there twice."""
    start = threading.Barrier(8)

    def see(number: int) -> None:
        start.wait()
        Sightings(store).see("ada", uid=number)

    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(see, range(8)))
        with store.transaction() as tx:
            assert list(list_sightings(tx)) == ["ada"]
            tx.connection.execute(delete(sightings))


def test_a_token_ends_no_other_that_has_its_name(store: Store) -> None:
    """An administrator's laptop must not end the tokens of other people, whatever they are called."""
    root = Actor(name="root", operator=True)
    theirs = create_token(store, TokenRequest(name="laptop"), actor=ADA).token
    own = create_token(store, TokenRequest(name="laptop", scope="admin"), actor=root).token
    by_laptop = replace(root, via="token laptop")
    with pytest.raises(NotAllowed, match="No token may revoke another token"):
        revoke_token(store, CredentialId(theirs), actor=by_laptop)
    revoke_token(store, CredentialId(own), actor=by_laptop)


def test_a_later_token_of_the_same_name_gives_no_session_of_the_earlier_one_back(
    store: Store, clock: Clock
) -> None:
    made = create_token(store, TokenRequest(name="laptop"), actor=ADA)
    session = open_session_by_token(store, made.secret, origin="10.0.0.7")
    get_actor(store, CredentialKind.SESSION, session, origin="10.0.0.7")
    revoke_token(store, CredentialId(made.token), actor=ADA)
    clock.advance(1)
    create_token(store, TokenRequest(name="laptop"), actor=ADA)
    with pytest.raises(NotAuthenticated):
        get_actor(store, CredentialKind.SESSION, session, origin="10.0.0.7")


def test_who_is_not_known_may_not_try_links_without_end(slow_api: Api) -> None:
    """Each try writes to the database."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: get_status(f"{slow_api.url}/open/x"), range(20)))
    assert set(found) == {401, 429}


def get_status(url: str) -> int:
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
