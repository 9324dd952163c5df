"""Every route does what OpenAPI says of it, whoever asks; nobody does what they may not."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnnctl.errors import NotAuthenticated
from cnnctl.http_client import HttpClient
from cnnctl.views.requests import TokenRequest
from tests.api.conftest import Api
from tests.properties import examples


def long(scope: str) -> Any:
    """A case of make long."""
    return pytest.param(scope, marks=pytest.mark.long)


CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)


def plain_pairs(schema: Any) -> Any:
    """The same schema with pairs as lists of two: schemathesis 4.32 mistakes `prefixItems` for `items`."""
    if isinstance(schema, list):
        return [plain_pairs(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: plain_pairs(one) for name, one in schema.items() if name != "prefixItems"}


@pytest.mark.property
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("scope", ["nobody", long("read"), "submit", long("admin")])
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_every_answer_is_as_the_document_says_and_no_right_is_passed(
    make_api: Callable[..., Api], scope: str, tmp_path: Path
) -> None:
    api = make_api(CNNCTL_API_RATE="100000")
    owner = api.client()
    token = "cnn_none"
    if scope != "nobody":
        token = owner.create_token(TokenRequest(name="fuzz", scope=scope)).secret  # type: ignore[arg-type]
    document = tmp_path / "openapi.json"
    found = subprocess.check_output(
        ["curl", "-s", "--unix-socket", str(api.socket), "http://x/api/v1/openapi.json"]
    )
    document.write_text(json.dumps(plain_pairs(json.loads(found))))
    before = owner.list_audit()[0].entry if owner.list_audit() else 0
    most = examples(100, few=2 if scope == "nobody" else 3)
    phases = "examples,coverage,fuzzing,stateful" if examples(2, few=1) == 2 else "examples,fuzzing,stateful"
    words = ["st", "run", str(document), "--url", api.url, "-H", f"Authorization: Bearer {token}"]
    words += ["--checks", ",".join(CHECKS), "--max-examples", str(most), "--phases", phases, "--no-color"]
    # It would end the session of the one who asks, and a stream never ends.
    words += ["--exclude-path", "/api/v1/events", "--exclude-operation-id", "revoke_token", "--seed", "1"]
    program = Path(sys.executable).with_name("st")
    done = subprocess.run(
        [str(program), *words[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=1400, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:]
    acts = [one for one in owner.list_audit(limit=1000) if one.entry > before and one.via == "token fuzz"]
    if scope in ("nobody", "read"):
        assert acts == []
        assert owner.count_jobs().total == 0
    if scope == "submit":
        assert {one.subject for one in acts} <= {"job", "hook", "dataset", "study"}
    if scope == "nobody":
        with pytest.raises(NotAuthenticated):
            HttpClient.at(api.url, token=token).get_me()
