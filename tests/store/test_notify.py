"""People are told, at least once, by a real command and a real server; no hook harms a decision."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from cnnctl.views.people import HookView
from cnnctl.views.requests import TokenRequest
from service.commands.jobs.control import cancel
from service.commands.people.audit import list_audit_views
from service.commands.people.credentials import create_token, list_token_views, revoke_token
from service.commands.people.hooks import add_hook, list_hook_views, remove_hook
from service.domain.credentials import CredentialId
from service.domain.hooks import MOST_HOOKS, HookId
from service.domain.jobs import Attempt, JobId
from service.domain.metrics import Point
from service.domain.people import SCHEDULER, Actor
from service.domain.states import Cause, Channel, JobState, Occasion, Outcome, Scope, Subject
from service.errors import HookNotFound, NotAllowed, SpecError
from service.notify.sender import LEASE, NotificationSender
from service.settings import Settings
from service.store.jobs import jobs, logs, metrics, stop_requests
from service.store.jobs.endings import end_attempt
from service.store.people import outbox
from service.store.transaction import Store
from tests.conftest import ADA, HOST, Clock
from tests.json_keys import check_keys
from tests.receiver import Receiver
from tests.servers import wait_until

Claim = Callable[..., Attempt]
AddHook = Callable[..., HookId]
GRACE = Actor(name="grace")


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    return tmp_path / "sent mail"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of a lab that lets webhooks go to its own machine."""
    return replace(settings, webhooks="127.0.0.1")


@pytest.fixture
def hook(store: Store, settings: Settings) -> AddHook:
    def add(address: str, *occasions: Occasion, owner: Actor = ADA, channel: Channel | None = None) -> HookId:
        channel = channel or (Channel.WEBHOOK if "://" in address else Channel.MAIL)
        view = add_hook(store, settings, channel=channel, address=address, occasions=occasions, actor=owner)
        return HookId(view.hook)

    return add


@pytest.fixture
def sender(store: Store, settings: Settings, mailbox: Path) -> NotificationSender:
    return NotificationSender(store, replace(settings, mail_command=f"tee '{mailbox}'"))


def end(store: Store, attempt: Attempt, outcome: Outcome, cause: Cause | None = None) -> None:
    with store.transaction() as tx:
        assert end_attempt(tx, attempt, outcome, cause=cause, reason="why", actor=SCHEDULER, retry_limit=0)


def only_hook(store: Store) -> HookView:
    (view,) = list_hook_views(store, actor=ADA)
    return view


def test_a_webhook_is_told_of_a_failure_with_reason_metrics_and_the_last_log_lines(
    store: Store, hook: AddHook, claimed: Claim, receiver: Receiver, sender: NotificationSender
) -> None:
    hook(receiver.url, Occasion.FAILURE, Occasion.END)
    attempt = claimed()
    with store.transaction() as tx:
        logs.set_log_tail(tx, attempt.id, "\n".join(f"line {number}" for number in range(100)))
        points = [Point("loss", 1, None), Point("accuracy", 1, 0.5), Point("layer/fc/dead", 1, 0.1)]
        metrics.add_points(tx, attempt.id, points)
    end(store, attempt, Outcome.FAILED, Cause.NAN_LOSS)
    assert sender.deliver_due() == 1
    told = receiver.received.get_nowait()
    said = {
        name: told[name] for name in ("job", "occasion", "state", "outcome", "cause", "reason", "attempt")
    }
    assert said == {
        "job": attempt.job_id,
        "occasion": "failure",
        "state": "failed",
        "outcome": "failed",
        "cause": "nan_loss",
        "reason": "why",
        "attempt": 1,
    }
    assert told["metrics"] == {"loss": None, "accuracy": 0.5}
    assert told["log_tail"] == [f"line {number}" for number in range(80, 100)]
    assert "Job 1 failed: why" in told["text"]
    assert sender.deliver_due() == 0
    assert (only_hook(store).last_job, only_hook(store).delivered) == (attempt.job_id, True)
    check_keys(told, "POST to a webhook")


def test_nothing_of_a_log_acts_in_the_terminal_where_a_mail_or_a_chat_is_read(
    store: Store, hook: AddHook, claimed: Claim, receiver: Receiver, mailbox: Path, sender: NotificationSender
) -> None:
    for address in ("ada@example.org", receiver.url):
        hook(address, Occasion.FAILURE)
    attempt = claimed()
    with store.transaction() as tx:
        logs.set_log_tail(tx, attempt.id, "ä \x1b]0;owned\x07\tend")
    end(store, attempt, Outcome.FAILED)
    assert sender.deliver_due() == 2
    shown = "  ä \\x1b]0;owned\\x07\tend"
    mail = message_from_bytes(mailbox.read_bytes(), policy=default)
    assert isinstance(mail, EmailMessage)
    assert shown in mail.get_content()
    assert shown in receiver.received.get_nowait()["text"]


def test_a_token_that_is_revoked_takes_along_the_hooks_that_were_made_with_it(
    store: Store, hook: AddHook, clock: Clock
) -> None:
    laptop = replace(ADA, via="token laptop", scope=Scope.SUBMIT)
    request = TokenRequest(name="laptop")

    def revoke() -> None:
        (token,) = list_token_views(store, actor=ADA)
        revoke_token(store, CredentialId(token.token), actor=ADA)

    create_token(store, request, actor=ADA)
    revoke()
    own = hook("ada@example.org", Occasion.END)
    earlier = hook("old@example.org", Occasion.END, owner=laptop)  # as of another token of that name
    clock.advance(1)
    create_token(store, request, actor=ADA)
    found = hook("thief@example.org", Occasion.END, owner=laptop)
    ways = {view.hook: view.via for view in list_hook_views(store, actor=ADA)}
    assert ways == {own: "terminal", earlier: "token laptop", found: "token laptop"}
    revoke()
    assert {view.hook for view in list_hook_views(store, actor=ADA)} == {own, earlier}
    (removed, *_) = list_audit_views(store, subject=Subject.HOOK)
    assert (removed.action, removed.detail) == ("removed", "made with token laptop, which is revoked")


def test_a_mail_goes_through_the_command_of_the_settings(
    store: Store, hook: AddHook, claimed: Claim, mailbox: Path, sender: NotificationSender
) -> None:
    hook("ada@example.org", Occasion.END)
    end(store, claimed(), Outcome.SUCCEEDED)
    assert sender.deliver_due() == 1
    mail = message_from_bytes(mailbox.read_bytes(), policy=default)
    assert isinstance(mail, EmailMessage)
    assert mail["To"] == "ada@example.org"
    assert mail["Subject"] == "cnnctl: job 1 succeeded (lenet5 on digits)"
    assert "cnnctl status 1" in mail.get_content()


def test_people_are_told_of_their_own_jobs_and_of_what_they_chose_only(
    store: Store,
    hook: AddHook,
    claimed: Claim,
    add_job: Callable[..., JobId],
    receiver: Receiver,
    sender: NotificationSender,
) -> None:
    hook(receiver.url, Occasion.FAILURE)
    hook(receiver.url, Occasion.PREEMPTION)
    hook(receiver.url, Occasion.END, owner=GRACE)
    end(store, claimed(), Outcome.SUCCEEDED)
    end(store, claimed(), Outcome.INTERRUPTED)
    preempted = claimed(gpu=f"{HOST}-1")
    with store.transaction() as tx:
        stop_requests.request_preemption(tx, preempted.job_id, reason="preempted for job 9", actor=SCHEDULER)
    end(store, preempted, Outcome.INTERRUPTED)
    cancel(store, add_job(owner="grace"), actor=GRACE)
    assert sender.deliver_due() == 2
    told = [receiver.received.get_nowait() for _ in range(2)]
    assert [(t["owner"], t["occasion"], t["state"], t["outcome"]) for t in told] == [
        ("ada", "preemption", "queued", "interrupted"),
        ("grace", "end", "cancelled", None),
    ]
    assert "preempted for job 9" in told[0]["reason"]


def test_what_is_not_decided_is_not_told(
    store: Store, hook: AddHook, claimed: Claim, receiver: Receiver, sender: NotificationSender
) -> None:
    hook(receiver.url, Occasion.END)
    attempt = claimed()

    def break_half_way() -> None:
        with store.transaction() as tx:
            end_attempt(tx, attempt, Outcome.SUCCEEDED, reason="", actor=SCHEDULER, retry_limit=0)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        break_half_way()
    assert sender.deliver_due() == 0


def test_a_server_that_refuses_is_asked_again_later_until_it_takes_it(
    store: Store, clock: Clock, hook: AddHook, claimed: Claim, receiver: Receiver, sender: NotificationSender
) -> None:
    hook(receiver.url, Occasion.END)
    receiver.answers = [500, 302]
    end(store, claimed(), Outcome.SUCCEEDED)
    assert sender.deliver_due() == 1
    assert only_hook(store).error == "the server answered 500"
    assert sender.deliver_due() == 0
    clock.advance(10)
    assert sender.deliver_due() == 1
    assert only_hook(store).error == "the server answered 302, a redirect, which is not followed"
    clock.advance(19)
    assert sender.deliver_due() == 0
    clock.advance(1)
    assert sender.deliver_due() == 1
    assert (only_hook(store).delivered, only_hook(store).error) == (True, "")
    assert receiver.received.qsize() == 3


@pytest.mark.parametrize(
    ("address", "command", "error"),
    [
        ("http://127.0.0.1:1/", "true", "the connection to it failed or broke"),
        ("ada", "/nowhere/sendmail -t", "the mail command cannot be run"),
        ("ada", "sh -c 'echo 220 mail.inside >&2; exit 67'", "the mail command ended with status 67"),
    ],
)
def test_a_hook_that_never_works_is_given_up_after_a_day_and_harms_nobody(
    store: Store,
    clock: Clock,
    settings: Settings,
    hook: AddHook,
    claimed: Claim,
    address: str,
    command: str,
    error: str,
) -> None:
    sender = NotificationSender(store, replace(settings, mail_command=command))
    hook(address, Occasion.END)
    attempt = claimed()
    end(store, attempt, Outcome.SUCCEEDED)
    with store.reading() as tx:
        assert jobs.get_job(tx, attempt.job_id).state is JobState.SUCCEEDED
    tries = 0
    for _ in range(60):
        tries += sender.deliver_due()
        clock.advance(3600)
    assert 5 < tries < 30
    assert only_hook(store).error == error


def test_a_message_whose_postman_died_while_delivering_is_delivered_by_the_next(
    store: Store, clock: Clock, hook: AddHook, claimed: Claim, receiver: Receiver, sender: NotificationSender
) -> None:
    hook(receiver.url, Occasion.END)
    end(store, claimed(), Outcome.SUCCEEDED)
    with store.transaction() as tx:
        assert outbox.take_due(tx, "ada", lease=LEASE)
    assert sender.deliver_due() == 0
    clock.advance(LEASE.total_seconds())
    assert sender.deliver_due() == 1


def test_beside_the_scheduler_it_delivers_by_itself(
    store: Store, hook: AddHook, claimed: Claim, receiver: Receiver, sender: NotificationSender
) -> None:
    hook(receiver.url, Occasion.END)
    with sender:
        attempt = claimed()
        end(store, attempt, Outcome.SUCCEEDED)
        assert receiver.received.get(timeout=30)["job"] == attempt.job_id


def test_a_hook_is_its_owners_to_remove_with_what_is_on_its_way(
    store: Store, hook: AddHook, claimed: Claim, receiver: Receiver, sender: NotificationSender
) -> None:
    number = hook(receiver.url, Occasion.END)
    end(store, claimed(), Outcome.SUCCEEDED)
    with pytest.raises(NotAllowed, match=rf"Hook {number} is ada's"):
        remove_hook(store, number, actor=Actor(name="eve"))
    remove_hook(store, number, actor=ADA)
    with pytest.raises(HookNotFound):
        remove_hook(store, number, actor=ADA)
    assert list_hook_views(store, actor=ADA) == []
    assert sender.deliver_due() == 0


def test_nobody_is_told_later_since_somebody_elses_servers_are_slow(
    store: Store, hook: AddHook, claimed: Claim, add_job: Callable[..., JobId], sender: NotificationSender
) -> None:
    with closing(Receiver()) as slow, closing(Receiver()) as quick:
        slow.opened.clear()
        for _ in range(MOST_HOOKS):
            hook(slow.url, Occasion.END)
        hook(quick.url, Occasion.END, owner=GRACE)
        end(store, claimed(), Outcome.SUCCEEDED)
        with sender:
            wait_until(lambda: bool(slow.hosts))
            graces = [add_job(owner="grace") for _ in range(3)]
            for number in graces:
                cancel(store, number, actor=GRACE)
            assert [quick.received.get(timeout=20)["job"] for _ in graces] == graces
            assert len(slow.hosts) == 1  # of one person's deliveries one at a time
            slow.opened.set()


def test_people_take_turns_however_many_messages_one_has(
    store: Store,
    clock: Clock,
    hook: AddHook,
    add_job: Callable[..., JobId],
    receiver: Receiver,
    sender: NotificationSender,
) -> None:
    for owner in (ADA, GRACE):
        hook(receiver.url, Occasion.END, owner=owner)
    for owner in (ADA, ADA, ADA, GRACE, GRACE):
        cancel(store, add_job(owner=owner.name), actor=owner)
        clock.advance(1)
    assert sender.deliver_due() == 5
    owners = [receiver.received.get_nowait()["owner"] for _ in range(5)]
    assert owners == ["ada", "grace", "ada", "grace", "ada"]


def test_nobody_has_more_than_ten_hooks_also_when_they_ask_at_once(store: Store, hook: AddHook) -> None:
    def add_one(_: int) -> bool:
        try:
            hook("ada@example.org", Occasion.END)
        except SpecError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add_one, range(24))) == 10
    hook("grace@example.org", Occasion.END, owner=GRACE)
    remove_hook(store, HookId(1), actor=ADA)
    hook("ada@example.org", Occasion.END)
    with pytest.raises(
        SpecError, match=r"ada has 10 hooks, and nobody may have more\. Remove one first: cnnctl notify"
    ):
        hook("ada@example.org", Occasion.END)


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        (Channel.WEBHOOK, "file:///etc/passwd"),
        (Channel.WEBHOOK, "https://"),
        (Channel.WEBHOOK, "http://a/b c"),
        (Channel.WEBHOOK, "http://a/b\0c"),
        (Channel.WEBHOOK, "http://ada:secret@a/"),
        (Channel.WEBHOOK, "http://a:99999/"),
        (Channel.WEBHOOK, "http://a/" + 3000 * "x"),
        (Channel.MAIL, "ada@example.org\nBcc: all@example.org"),
        (Channel.MAIL, "-oQ/tmp"),
        (Channel.MAIL, ""),
    ],
)
def test_an_address_that_is_none_is_refused(hook: AddHook, channel: Channel, address: str) -> None:
    with pytest.raises(SpecError, match=r"takes|must have a length"):
        hook(address, Occasion.END, channel=channel)


@pytest.mark.parametrize("host", ["10.0.0.7", "[::1]", "169.254.169.254"])
def test_an_address_inside_is_refused_unless_the_settings_allow_it(
    store: Store, settings: Settings, hook: AddHook, host: str
) -> None:
    address = f"http://{host}/hook"
    with pytest.raises(SpecError, match=r"is private, loopback or link-local\. .*CNNCTL_WEBHOOK_HOSTS"):
        hook(address, Occasion.END)
    allowed = replace(settings, webhooks=f"hooks.example, {host.strip('[]')}")
    assert add_hook(
        store, allowed, channel=Channel.WEBHOOK, address=address, occasions=[Occasion.END], actor=ADA
    )


def test_the_audit_which_everybody_reads_does_not_have_the_secret_of_a_webhooks_address(
    store: Store, hook: AddHook
) -> None:
    """Whoever knows the whole address of a chat's webhook can write there."""
    hook("https://chat.example.org:8443/hooks/s3cret?key=s3cret", Occasion.END)
    hook("ada@example.org", Occasion.FAILURE)
    mail, webhook = list_audit_views(store)
    assert webhook.after == {"channel": "webhook", "to": "chat.example.org", "on": ["end"]}
    assert mail.after == {"channel": "mail", "to": "ada@example.org", "on": ["failure"]}
