"""A lab of years in a PostgreSQL database: thousands of jobs, hosts full of GPUs, millions of points."""

from contextlib import closing

from sqlalchemy import text

from service.domain.gpus import Gpu, Reading
from service.domain.spec_request import resolve_spec
from service.store.fleet import hosts, readings
from service.store.jobs import jobs
from service.store.transaction import Store

JOBS, RUNNING, QUEUED, POINTS_OF_ONE = 10_000, 100, 500, 10_000
OWNERS, HOSTS, GPUS = 20, 13, 8
CURVES = (
    "batch_loss",
    "batch_accuracy",
    "lr",
    "gradient_norm",
    "data_seconds",
)  # of each job that has points
OF_EPOCHS = ("loss", "accuracy", "val_loss", "val_accuracy", "images_per_second")
EPOCH, BATCH = 1000, 100  # steps of an epoch, and those whose points are stored together
MEASURED = 100  # jobs with points: as many as run

_COPY_JOBS = """
INSERT INTO jobs (owner, name, note, state, spec, architecture, dataset, gpus, priority, project, exclusive,
    hosts, reason, lost_attempts, preemptions, submitted_at, ended_at)
SELECT 'owner' || n % :owners, CASE WHEN n % 3 = 0 THEN 'lr ' || n ELSE '' END, '',
    CASE WHEN n > :jobs - :running THEN 'running' WHEN n > :jobs - :running - :queued THEN 'queued'
    ELSE 'succeeded' END, spec, architecture, dataset, gpus, priority, 'project' || n % 7, exclusive,
    hosts, reason, 0, 0, submitted_at + n * interval '1 second',
    CASE WHEN n > :jobs - :running - :queued THEN NULL ELSE submitted_at + n * interval '1 second' END
FROM jobs, generate_series(2, :jobs) AS n WHERE id = 1
"""
_ADD_ATTEMPTS = """
INSERT INTO attempts (job_id, number, host_name, state, outcome, reason, stop_reason, token, run_dir,
    start_step, stalls, stall_seconds, events_offset, epochs_completed, progress, created_at, sent_at,
    heartbeat_at, started_at, ended_at)
SELECT id, 1, 'host' || (id % :hosts), CASE WHEN state = 'running' THEN 'running' ELSE 'ended' END,
    CASE WHEN state = 'running' THEN NULL ELSE 'succeeded' END, '', '', 1, '/runs/' || id || '/1', 0, 0, 0, 0,
    10, '{"epoch": 10, "epochs": 90, "step": 10000, "steps_per_epoch": 1000, "images_per_second": 2310.0,
      "loss": 1.9, "accuracy": 0.6}', submitted_at, submitted_at, now(), submitted_at, ended_at
FROM jobs WHERE state <> 'queued'
"""
_ADD_LEASES = """
INSERT INTO leases (attempt_id, gpu_uuid, acquired_at)
SELECT a.id, g.uuid, a.created_at FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM attempts
    WHERE state = 'running') AS a JOIN (SELECT *, row_number() OVER (ORDER BY uuid) AS n FROM gpus) AS g
    USING (n)
"""
_MOVE_ATTEMPTS = """
UPDATE attempts SET host_name = g.host_name FROM leases AS l JOIN gpus AS g ON g.uuid = l.gpu_uuid
WHERE l.attempt_id = attempts.id
"""
# As they come: a batch of the steps of each attempt in turn, with all of their metrics.
_ADD_POINTS = """
INSERT INTO metrics (attempt_id, name, step, value)
SELECT id, name, step, 1.0 / step + (step % 97 + id % 89) * 0.001
FROM generate_series(CAST(:every AS integer), CAST(:points AS integer), CAST(:every AS integer)) AS step,
    unnest(CAST(:names AS text[])) AS name,
    (SELECT id FROM attempts WHERE state = 'running' ORDER BY id LIMIT :measured) AS a
ORDER BY step / :batch, id, step
"""
_ADD_MINUTES = """
INSERT INTO gpu_minutes (minute, gpu_uuid, utilization_percent, utilization_readings, memory_used_mib,
    memory_readings, temperature_celsius, temperature_readings)
SELECT extract(epoch FROM now())::integer / 60 - m, uuid, 50 + m % 50, 12, 40000 + m, 12, 60, 12
FROM gpus, generate_series(0, 1439) AS m
"""


def fill(store: Store) -> None:
    """Make the lab in an empty database."""
    with store.transaction() as tx:
        for number in range(HOSTS):
            name = f"host{number}"
            devices = [_make_gpu(name, gpu) for gpu in range(GPUS)]
            hosts.register_host(tx, name, worker="bench", cores=64, devices=devices)
            read = Reading(utilization_percent=93, memory_used_mib=60_000, temperature_celsius=66)
            readings.set_readings(tx, {gpu.uuid: read for gpu in devices})
        jobs.create_job(tx, resolve_spec("lenet5", {}), owner="owner0", reason="beyond its owner's share")
        sizes = {"jobs": JOBS, "running": RUNNING, "queued": QUEUED, "owners": OWNERS, "hosts": HOSTS}
        history = ("DELETE FROM gpu_minutes", _ADD_MINUTES)
        for statement in (_COPY_JOBS, _ADD_ATTEMPTS, _ADD_LEASES, _MOVE_ATTEMPTS, *history):
            wanted = {name: value for name, value in sizes.items() if f":{name}" in statement}
            tx.connection.execute(text(statement), wanted)
        sizes = {"points": POINTS_OF_ONE, "measured": MEASURED, "batch": BATCH}
        for names, every in ((CURVES, 1), (OF_EPOCHS, EPOCH)):
            tx.connection.execute(text(_ADD_POINTS), {**sizes, "names": list(names), "every": every})
    with closing(store.connect_apart()) as connection:
        connection.cursor().execute("VACUUM ANALYZE")


def _make_gpu(host: str, number: int) -> Gpu:
    return Gpu(
        uuid=f"GPU-{host}-{number}",
        host_name=host,
        number=number,
        model="NVIDIA H100",
        memory_mib=81_559,
        simulated=False,
    )
