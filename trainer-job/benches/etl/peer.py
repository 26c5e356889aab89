"""The counter tables of a click log by another engine: peer.py polars|duckdb EVENTS OUT.

The same tables as `searchop_trainer::stage_a` makes, in each engine's own idiom: the finest
table from the events, the others from it, all written as Parquet.
"""

import os
import sys
import time

ENGINE, EVENTS, OUT = sys.argv[1:4]
os.makedirs(OUT, exist_ok=True)
COUNTERS = ["impressions", "clicks", "carts", "purchases"]


def with_polars():
    import polars as pl

    position = pl.col("position").fill_null(0)
    counted = (
        pl.when(position <= 20)
        .then(position)
        .when(position <= 50)
        .then(21)
        .otherwise(51)
        .cast(pl.UInt32)
    )
    counters = [
        (pl.col("action") == action).sum().cast(pl.UInt32).alias(name)
        for action, name in enumerate(COUNTERS)
    ]
    finest = (
        pl.scan_parquet(EVENTS)
        .with_columns(position=counted)
        .group_by("query", "item", "position", "surface", "day")
        .agg(counters)
        .collect(engine="streaming")
    )
    finest.write_parquet(f"{OUT}/query_items.parquet", compression="zstd")
    items = finest.group_by("item", "position", "surface", "day").agg(pl.col(COUNTERS).sum())
    items.write_parquet(f"{OUT}/items.parquet", compression="zstd")
    totals = items.group_by("position", "surface", "day").agg(pl.col(COUNTERS).sum())
    totals.write_parquet(f"{OUT}/totals.parquet", compression="zstd")


def with_duckdb():
    import duckdb

    db = duckdb.connect()
    db.execute("SET threads = 2; SET preserve_insertion_order = false")
    counters = ", ".join(
        f"count(*) FILTER (action = {action})::UINTEGER AS {name}"
        for action, name in enumerate(COUNTERS)
    )
    sums = ", ".join(f"sum({name})::UINTEGER AS {name}" for name in COUNTERS)
    db.execute(f"""CREATE TEMP TABLE query_items AS
        SELECT query, item, surface, day, {counters},
               CASE WHEN coalesce(position, 0) <= 20 THEN coalesce(position, 0)
                    WHEN position <= 50 THEN 21 ELSE 51 END::UINTEGER AS position
        FROM '{EVENTS}' GROUP BY ALL""")
    db.execute(f"""CREATE TEMP TABLE items AS
        SELECT item, position, surface, day, {sums} FROM query_items GROUP BY ALL""")
    db.execute(f"""CREATE TEMP TABLE totals AS
        SELECT position, surface, day, {sums} FROM items GROUP BY ALL""")
    for table in ["query_items", "items", "totals"]:
        db.execute(f"COPY {table} TO '{OUT}/{table}.parquet' (FORMAT parquet, COMPRESSION zstd)")


begin = time.perf_counter()
{"polars": with_polars, "duckdb": with_duckdb}[ENGINE]()
print(f"seconds {time.perf_counter() - begin:.3f}")
with open("/proc/self/status") as status:
    kb = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(f"peak_mb {int(kb) / 1024:.0f}")
