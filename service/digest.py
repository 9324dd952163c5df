"""Small documents that contain their own digest."""

import hashlib
import json
from collections.abc import Mapping


def seal(document: Mapping[str, object]) -> dict[str, object]:
    """A JSON document with the SHA-256 of all its other fields under `sealed`."""
    return {**document, "sealed": _digest(document)}


def is_sealed(document: Mapping[str, object]) -> bool:
    """Whether a document is unchanged since it was sealed."""
    return document.get("sealed") == _digest({k: v for k, v in document.items() if k != "sealed"})


def _digest(document: Mapping[str, object]) -> str:
    text = json.dumps(document, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
