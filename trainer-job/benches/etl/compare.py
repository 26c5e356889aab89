"""Counts one click log with ours, Python polars and DuckDB in turn: compare.py PROGRAM WORK [EVENTS].

Each has the same two cores and runs three times, in turn, so that a busy moment hits all. Every
figure is of the fastest run of its engine; where the machine is busy with other things, the CPU
time says more than the clock. All must have counted the same.
"""

import os
import resource
import shutil
import subprocess
import sys

import duckdb

PROGRAM, WORK = sys.argv[1:3]
EVENTS = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000_000
HERE = os.path.dirname(os.path.abspath(__file__))
LOG = f"{WORK}/events-{EVENTS}.parquet"
KEYS = "query, item, position, surface, impressions, clicks, carts, purchases"
LIMITS = {"POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2"}
ENGINES = {
    "searchop": [PROGRAM],
    "polars": [sys.executable, f"{HERE}/peer.py", "polars"],
    "duckdb": [sys.executable, f"{HERE}/peer.py", "duckdb"],
}


def measure(engine):
    out = f"{WORK}/{engine}"
    shutil.rmtree(out, ignore_errors=True)
    command = ["taskset", "-c", "0,1", *ENGINES[engine], LOG, out]
    before = cpu_of_children()
    run = subprocess.run(command, env={**os.environ, **LIMITS}, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{engine} failed: {run.stderr}")
    figures = dict(line.split() for line in run.stdout.splitlines())
    cpu = cpu_of_children() - before
    return float(figures["seconds"]), cpu, float(figures["peak_mb"])


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def counted(engine):
    """Rows and a sum of hashes, which does not depend on their order."""
    if engine == "searchop":
        table = f"read_parquet('{WORK}/searchop/day=*/query_items.parquet', hive_partitioning = true)"
        day = "date_diff('day', DATE '1970-01-01', day)::INTEGER"
    else:
        table, day = f"'{WORK}/{engine}/query_items.parquet'", "day"
    return duckdb.execute(f"SELECT count(*), sum(hash({day}, {KEYS})) FROM {table}").fetchone()


if not os.path.exists(LOG):
    subprocess.run([sys.executable, f"{HERE}/generate.py", str(EVENTS), LOG], check=True)
runs = {engine: [] for engine in ENGINES}
for _ in range(3):
    for engine in ENGINES:
        runs[engine].append(measure(engine))
tables = {engine: counted(engine) for engine in ENGINES}
if len(set(tables.values())) != 1:
    sys.exit(f"the engines counted differently: {tables}")

seconds, cpu, peak = (
    {engine: choose(run[n] for run in times) for engine, times in runs.items()}
    for n, choose in enumerate([min, min, max])
)
print(f"{EVENTS} events, {tables['searchop'][0]} counted (query, item, position, surface, day)")
for engine in ENGINES:
    print(f"{engine:<10} {seconds[engine]:6.2f} s, {cpu[engine]:6.2f} s of CPU, {peak[engine]:5.0f} MB")
name = "10m" if EVENTS == 10_000_000 else str(EVENTS)
fastest = min(seconds["polars"], seconds["duckdb"])
least = min(cpu["polars"], cpu["duckdb"])
print(f"figure etl.{name}.seconds {seconds['searchop']:.2f} s")
print(f"figure etl.{name}.vs_fastest {fastest / seconds['searchop']:.2f} x")
print(f"figure etl.{name}.cpu_seconds {cpu['searchop']:.2f} s")
print(f"figure etl.{name}.cpu_vs_least {least / cpu['searchop']:.2f} x")
print(f"figure etl.{name}.peak_mb {peak['searchop']:.0f} MB")
