"""The states and kinds that views have, as closed sets of words; docs/states.md says what states mean.

A newer service may know more: `from_json` takes any text in such a field, so a reader needs a default.
"""

from typing import Literal

JobState = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
AttemptState = Literal["dispatched", "starting", "running", "ended"]
Outcome = Literal["succeeded", "failed", "cancelled", "interrupted", "lost"]
Cause = Literal[
    "out_of_memory",
    "nan_loss",
    "data_error",
    "disk_full",
    "time_limit",
    "error",
    "device_error",
    "killed",
    "lost_host",
]
GpuState = Literal["available", "drained", "quarantined"]

Priority = Literal["low", "normal", "high"]
CheckpointKind = Literal["last", "best"]
Channel = Literal["mail", "webhook"]
Occasion = Literal["end", "failure", "preemption"]
Scope = Literal["read", "submit", "admin"]
Subject = Literal[
    "job", "gpu", "host", "user", "token", "hook", "dataset", "garbage", "study", "link", "session"
]
DatasetKind = Literal["folder", "npz"]
StudyState = Literal["running", "held", "finished", "cancelled"]
Stage = Literal["tune", "measure"]
