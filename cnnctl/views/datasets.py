"""The lab's own datasets, and what is uploaded of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from cnnctl.views.states import DatasetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    """What the name of one of the lab's own datasets means now."""

    name: Annotated[str, "as in `--dataset NAME`"]
    version: Annotated[str, "as specs name it: `NAME@` and the start of its digest; it never changes"]
    digest: Annotated[str, "SHA-256 of all its paths and contents, hex; see data.md"]
    kind: Annotated[DatasetKind, "`folder` or `npz`"]
    owner: Annotated[str, "who added it"]
    description: Annotated[str, "what they said of it"]
    found: Annotated[
        str, "what it holds, as in `1,321 images in 20 classes`; empty where a package was missing to look"
    ]
    files: Annotated[int, "how many"]
    bytes: Annotated[int, "their size"]
    added_at: Annotated[datetime, "when"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierVersion:
    """What the name meant before; its files are gone."""

    version: Annotated[str, "as older specs name it"]
    digest: Annotated[str, "its whole digest"]
    owner: Annotated[str, "who added it"]
    added_at: Annotated[datetime, "when"]
    removed_at: Annotated[datetime, "when it was removed"]
    removed_by: Annotated[str, "by whom"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPage:
    """Everything about one of the lab's own datasets."""

    dataset: Annotated[DatasetView, "what the name means now"]
    jobs: Annotated[Sequence[int], "unfinished jobs that need it"]
    earlier: Annotated[Sequence[EarlierVersion], "what it meant before, the newest first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadView:
    """An upload of a dataset that is not finished."""

    upload: Annotated[int, "its number"]
    name: Annotated[str, "what the dataset will be called"]
    kind: Annotated[DatasetKind, "`folder`, of which a tar is uploaded, or `npz`"]
    total_bytes: Annotated[int, "the size of the whole file"]
    received_bytes: Annotated[int, "how much of it is there: the next piece begins here"]
    digest: Annotated[str, "SHA-256 that the whole file must have, hex"]
    kept_until: Annotated[datetime, "when it is deleted unless somebody goes on with it"]
