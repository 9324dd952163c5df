"""Tokens, links and sessions: how a person is known who does not come in over the socket."""

from collections.abc import Sequence
from datetime import timedelta

from cnnctl.views.access import LinkView, NewTokenView, TokenView
from cnnctl.views.requests import TokenRequest
from service.commands.people.hooks import remove_hooks_of_token
from service.commands.people.once import check_key
from service.commands.people.permissions import check_administrator, check_in_person, is_administrator
from service.domain.bounds import check_option
from service.domain.choices import read_choice
from service.domain.credentials import (
    LINK_LIFE,
    LONGEST_SECRET,
    MOST_SESSIONS,
    MOST_TOKENS,
    SESSION_LIFE,
    TOKEN_NAME,
    TOKEN_PREFIX,
    Credential,
    CredentialId,
    digest_of,
    make_secret,
)
from service.domain.people import BY_BROWSER, Actor, by_token
from service.domain.states import Action, CredentialKind, Scope, Subject
from service.errors import Conflict, NotAllowed, NotAuthenticated, SpecError, TokenNotFound
from service.settings import Settings
from service.store.jobs import jobs
from service.store.people import audit, credentials, request_keys, sightings, users
from service.store.transaction import Store, Transaction

USED_EVERY = timedelta(minutes=1)  # is recorded at most so often
NO_LINK = "This link was used or is more than a minute old. Another one: cnnctl web"
HOW_TO_GET_ONE = "Make a token on the service's machine: cnnctl token create. Then: cnnctl login"
NOT_VALID = f"The token or session is not valid, or no longer. {HOW_TO_GET_ONE}"


def create_token(
    store: Store, request: TokenRequest, *, actor: Actor, key: str | None = None
) -> NewTokenView:
    """Make a token for oneself; its secret is in the answer and nowhere else.

    Whoever sends the request again with the same key did not get the answer. Nobody can give the secret
    again, so another token takes the place of the one that was made.

    Raises:
        NotAllowed: `actor` came in by a token, or is no administrator and asks for scope admin.
        SpecError: the name is taken, a bound is passed, or there are as many tokens as one may have.
    """
    check_in_person(actor, act="make a token")
    name, scope = _check_name(request.name), read_choice(Scope, request.scope, what="scope")
    check_option("--expires", request.days)
    secret = make_secret(CredentialKind.TOKEN)
    with store.transaction() as tx:
        if scope is Scope.ADMIN:
            check_administrator(tx, actor, act="have a token of scope admin")
        users.lock_user(tx, actor.name)
        if key is not None:
            _revoke_lost(tx, request, actor=actor, key=key)
        _check_new(tx, actor.name, name)
        expires_at = tx.now + timedelta(days=request.days)
        number = _add(tx, CredentialKind.TOKEN, actor, name, scope, secret, expires_at - tx.now)
        after = {"scope": scope.value, "expires_at": expires_at.isoformat()}
        audit.add_entry_about(
            tx, Subject.TOKEN, _title(actor.name, name), Action.ADDED, actor=actor, after=after
        )
        if key is not None:
            request_keys.set_answer(tx, actor.name, key, str(number))
    return NewTokenView(token=number, secret=secret, scope=scope.value, expires_at=expires_at)


def _revoke_lost(tx: Transaction, request: TokenRequest, *, actor: Actor, key: str) -> None:
    """Take the request's key, and revoke the token that was made when it came before."""
    check_key(key)
    number = request_keys.take_key(tx, actor.name, key, digest=digest_of(f"{request}"))
    lost = credentials.find_by_id(tx, CredentialId(int(number))) if number else None
    if lost is not None and credentials.revoke(tx, lost.id):
        title, detail = _title(lost.owner, lost.name), "its secret was lost on the way"
        audit.add_entry_about(tx, Subject.TOKEN, title, Action.REMOVED, actor=actor, detail=detail)


def list_token_views(store: Store, *, everybody: bool = False, actor: Actor) -> Sequence[TokenView]:
    """One's own tokens that are valid; with `everybody`, those of all people.

    Raises:
        NotAllowed: `everybody`, and `actor` is no administrator.
    """
    with store.reading() as tx:
        if everybody:
            check_administrator(tx, actor, act="see everybody's tokens")
        owner = None if everybody else actor.name
        return [_describe(one) for one in credentials.list_credentials(tx, CredentialKind.TOKEN, owner)]


def revoke_token(store: Store, token_id: CredentialId, *, actor: Actor) -> None:
    """End a token at once, and with it the hooks that were made with it.

    Raises:
        TokenNotFound: there is no such token, or it has ended already.
        NotAllowed: it is somebody else's; or `actor` came in by another token.
    """
    with store.transaction() as tx:
        token = credentials.find_by_id(tx, token_id) if 0 < token_id <= jobs.LARGEST_ID else None
        if token is None or token.kind is not CredentialKind.TOKEN or not token.is_valid(tx.now):
            raise TokenNotFound(f"There is no valid token {token_id}. Yours: cnnctl token list")
        if token.owner != actor.name and not is_administrator(tx, actor):
            raise NotAllowed(
                f"Token {token_id} is {token.owner}'s: only {token.owner} or an administrator may revoke it"
            )
        its_own = actor.name == token.owner and actor.via == by_token(token.name)
        if not its_own:  # a laptop that logs out revokes its own
            check_in_person(actor, act="revoke another token")
        credentials.revoke(tx, token_id)
        remove_hooks_of_token(tx, token, actor=actor)
        title = _title(token.owner, token.name)
        audit.add_entry_about(tx, Subject.TOKEN, title, Action.REMOVED, actor=actor)


def make_link(store: Store, settings: Settings, *, actor: Actor) -> LinkView:
    """Make a link that opens a browser's session once, within a minute.

    Raises:
        NotAllowed: `actor` came in by a token.
        Conflict: the API has no address for browsers.
    """
    check_in_person(actor, act="open a browser's session")
    if not settings.api_url:
        raise Conflict("The API has no address for browsers: CNNCTL_API_ADDRESS is none")
    secret = make_secret(CredentialKind.LINK)
    with store.transaction() as tx:
        number = _add(tx, CredentialKind.LINK, actor, "link", actor.scope, secret, LINK_LIFE)
        title = _title(actor.name, str(number))
        audit.add_entry_about(tx, Subject.LINK, title, Action.ADDED, actor=actor)
        expires_at = tx.now + LINK_LIFE
    return LinkView(url=f"{settings.api_url}/open/{secret}", expires_at=expires_at)


def open_browser_session(store: Store, link_secret: str, *, origin: str) -> str:
    """Use a link up; the secret of the session that it opens.

    Raises:
        NotAuthenticated: the link was used, is too old, or is none.
    """
    secret = make_secret(CredentialKind.SESSION)
    with store.reading() as tx:  # whoever guesses must not keep writers waiting
        link = _find_valid(tx, CredentialKind.LINK, link_secret)
    if link is None:
        raise NotAuthenticated(NO_LINK)
    with store.transaction() as tx:
        if not link.is_valid(tx.now) or not credentials.revoke(tx, link.id):
            raise NotAuthenticated(NO_LINK)
        actor = Actor(
            name=link.owner, operator=link.operator, scope=link.scope, via=BY_BROWSER, origin=origin
        )
        detail = f"by link {link.id}"
        _add_session(tx, actor, secret, name=BY_BROWSER, life=SESSION_LIFE, detail=detail)
    return secret


def open_session_by_token(store: Store, token_secret: str, *, origin: str) -> str:
    """The secret of a new session, which may do what the token may, and ends with it.

    Raises:
        NotAuthenticated: it is no valid token.
    """
    secret = make_secret(CredentialKind.SESSION)
    actor = get_actor(store, CredentialKind.TOKEN, token_secret, origin=origin)
    with store.transaction() as tx:
        token = _find_valid(tx, CredentialKind.TOKEN, token_secret)
        if token is None:
            raise NotAuthenticated(NOT_VALID)
        _add_session(tx, actor, secret, name=actor.via, life=min(SESSION_LIFE, token.expires_at - tx.now))
    return secret


def _add_session(
    tx: Transaction, actor: Actor, secret: str, *, name: str, life: timedelta, detail: str = ""
) -> None:
    for old in credentials.list_credentials(tx, CredentialKind.SESSION, actor.name)[: -MOST_SESSIONS + 1]:
        _end_session(tx, old, actor=actor, detail=f"one of more than {MOST_SESSIONS}")
    number = _add(tx, CredentialKind.SESSION, actor, name, actor.scope, secret, life)
    title = _title(actor.name, str(number))
    audit.add_entry_about(tx, Subject.SESSION, title, Action.ADDED, actor=actor, detail=detail)
    credentials.forget_old(tx, before=tx.now - SESSION_LIFE)


def close_browser_session(store: Store, secret: str, *, origin: str) -> None:
    """End a session; nothing happens where there is none."""
    with store.reading() as tx:
        session = _find_valid(tx, CredentialKind.SESSION, secret)
    if session:
        actor = Actor(name=session.owner, via=session.name, origin=origin)
        with store.transaction() as tx:
            _end_session(tx, session, actor=actor)


def _end_session(tx: Transaction, session: Credential, *, actor: Actor, detail: str = "") -> None:
    if credentials.revoke(tx, session.id):
        title = _title(session.owner, str(session.id))
        audit.add_entry_about(tx, Subject.SESSION, title, Action.REMOVED, actor=actor, detail=detail)


def get_actor(store: Store, kind: CredentialKind, secret: str, *, origin: str) -> Actor:
    """Who has this token or session; it is recorded that they came.

    Raises:
        NotAuthenticated: it is no valid one, in the same words whatever is wrong with it.
    """
    with store.reading() as tx:
        found = _find_valid(tx, kind, secret)
        stale = found is not None and (found.used_at is None or tx.now - found.used_at > USED_EVERY)
    if found is None:
        raise NotAuthenticated(NOT_VALID)
    if stale:
        with store.transaction() as tx:
            credentials.set_used(tx, found.id)
            sightings.set_seen(tx, found.owner, uid=None)
    # A session has the name of how its owner came in: as by `token laptop`, which it can do no more than.
    via = by_token(found.name) if kind is CredentialKind.TOKEN else found.name
    return Actor(name=found.owner, operator=found.operator, scope=found.scope, via=via, origin=origin)


def _find_valid(tx: Transaction, kind: CredentialKind, secret: str) -> Credential | None:
    """By the digest, so how long it takes says nothing of the secrets that there are."""
    if len(secret) > LONGEST_SECRET or (kind is CredentialKind.TOKEN and not secret.startswith(TOKEN_PREFIX)):
        return None
    found = credentials.find_credential(tx, kind, digest_of(secret))
    return found if found and found.is_valid(tx.now) and _has_token(tx, found) else None


def _has_token(tx: Transaction, found: Credential) -> bool:
    """Whether the token is valid still by which a session was opened; true of all others.

    A later token of the same name is another one.
    """
    if found.kind is not CredentialKind.SESSION or found.name == BY_BROWSER:
        return True
    tokens = credentials.list_credentials(tx, CredentialKind.TOKEN, found.owner)
    return any(
        by_token(token.name) == found.name and token.created_at <= found.created_at for token in tokens
    )


def _add(
    tx: Transaction,
    kind: CredentialKind,
    actor: Actor,
    name: str,
    scope: Scope,
    secret: str,
    life: timedelta,
) -> CredentialId:
    operator = actor.operator and scope is Scope.ADMIN
    return credentials.add_credential(
        tx,
        kind,
        owner=actor.name,
        name=name,
        operator=operator,
        scope=scope,
        digest=digest_of(secret),
        expires_at=tx.now + life,
    )


def _check_name(name: str) -> str:
    TOKEN_NAME.check("--name", name)
    if name != name.strip():
        raise SpecError(f"--name must not begin or end with a space. Received: {name!r}")
    return name


def _check_new(tx: Transaction, owner: str, name: str) -> None:
    valid = credentials.list_credentials(tx, CredentialKind.TOKEN, owner)
    if any(token.name == name for token in valid):
        raise SpecError(
            f"You have a token {name} already, and its secret was shown only once. "
            f"Another --name, or first: cnnctl token revoke {name}"
        )
    if len(valid) >= MOST_TOKENS:
        raise SpecError(
            f"You have {MOST_TOKENS} tokens, and nobody may have more. First: cnnctl token revoke"
        )


def _title(owner: str, name: str) -> str:
    return f"{name} of {owner}"


def _describe(one: Credential) -> TokenView:
    return TokenView(
        token=one.id,
        owner=one.owner,
        name=one.name,
        scope=one.scope.value,
        created_at=one.created_at,
        expires_at=one.expires_at,
        used_at=one.used_at,
    )
