"""The address of a list of jobs says in words, as a filter and as a command line the same."""

import shlex
from datetime import datetime, timedelta, timezone

import pytest
from starlette.datastructures import QueryParams

from service.errors import SpecError
from service.web.job_address import in_words, read_address, to_command, to_link, to_query

FULL = "state=running,queued&owner=ada&tag=a&tag=b&project=vis&network=vgg&dataset=digits&text=warm+up&like=4"


def test_words_and_filter_are_those_of_the_address() -> None:
    asked = read_address(QueryParams(FULL))
    assert in_words(asked) == (
        "running or queued, of ada, in project vis, network vgg, on digits, "
        "with “warm up” in name or note, made like job 4, tagged a and b"
    )
    query = to_query(asked)
    assert (query.state, query.tag, query.like) == (["running", "queued"], ["a", "b"], 4)
    assert (query.owner, query.project, query.network) == ("ada", "vis", "vgg")
    assert (query.dataset, query.text) == ("digits", "warm up")


def test_empty_fields_of_a_form_ask_for_nothing() -> None:
    asked = read_address(QueryParams("state=&owner=&tag=&since=+&limit=&text="))
    assert asked == {}
    assert in_words(asked) == ""
    assert to_link(asked) == "/jobs"
    assert to_command(asked) == "cnnctl status --limit 50"


def test_a_link_keeps_all_but_where_it_goes_on() -> None:
    asked = read_address(QueryParams(FULL + "&sort=owner&limit=7&columns=job,tags&before=30"))
    kept = "state=running&state=queued&owner=ada&project=vis&tag=a&tag=b&network=vgg&dataset=digits"
    kept += "&text=warm+up&like=4&sort=owner&limit=7"
    assert to_link(asked) == f"/jobs?{kept}&columns=job&columns=tags"
    assert to_link(asked, before="12") == f"/jobs?{kept}&before=12&columns=job&columns=tags"
    assert "sort" not in to_link(asked, sort=None)


def test_the_command_is_quoted_for_a_shell() -> None:
    asked = read_address(QueryParams({"text": "it's $(rm); `x`", "ended_since": "7d", "sort": "ended"}))
    assert shlex.split(to_command(asked))[2:] == [
        *["--ended-since", "7d", "--text", "it's $(rm); `x`", "--sort", "ended", "--limit", "50"]
    ]


def test_jobs_without_a_project_are_asked_for_by_a_word() -> None:
    asked = read_address(QueryParams("no_project=yes&project="))
    assert to_query(asked).project == ""
    assert in_words(asked) == "without a project"
    assert to_link(asked) == "/jobs?no_project=yes"
    assert shlex.split(to_command(asked))[2:4] == ["--project", ""]
    with pytest.raises(SpecError, match="leave out"):
        read_address(QueryParams("no_project=yes&project=vis"))


def test_a_day_is_that_of_the_service_and_the_command_says_so() -> None:
    asked = read_address(QueryParams("since=2026-11-01"))
    assert to_query(asked).since == datetime(2026, 11, 1, tzinfo=timezone.utc)
    assert "--since 2026-11-01T00:00:00+00:00" in to_command(asked)
    ago = to_query(read_address(QueryParams("since=2h"))).since
    assert ago is not None
    assert timedelta(hours=1.9) < datetime.now(timezone.utc) - ago < timedelta(hours=2.1)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("stat=running", "no parameter"),
        ("state=runing", "state takes queued, running"),
        ("sort=size", "sort takes newest"),
        ("like=x", "whole number"),
        ("like=²", "whole number"),
        ("since=tomorrow", "since: 'tomorrow' is not a date"),
        ("since=" + "9" * 40 + "d", "not a date"),
        ("owner=" + "x" * 2000, "at most 1,024"),
    ],
)
def test_what_no_list_can_be_asked_for_is_refused(typed: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        to_query(read_address(QueryParams(typed)))
