"""Draws a click log as `Dataset::events` lays it out: generate.py EVENTS FILE.

Lists of 20, queries and items by a Zipf-like law, a click in nine lists of ten, some carts and
purchases, thirty days in order of time. The same number of events gives the same rows.
"""

import sys

import duckdb

EVENTS, FILE = int(sys.argv[1]), sys.argv[2]
LISTS = round(EVENTS / 21.15)
DAY_MS = 86_400_000
FIRST_DAY = 20_000

# A number in [0, 1) from the row and a salt: no state, so threads cannot change it.
UNIT = "(hash({} * 31 + {}) % 1000003) / 1000003.0"


def unit(row, salt):
    return UNIT.format(row, salt)


db = duckdb.connect()
db.execute("SET threads = 2")
db.execute(f"""
CREATE TABLE lists AS
SELECT l,
       cast(floor(40000 * pow({unit('l', 1)}, 3)) AS INTEGER) AS query,
       cast(floor(120000 * {unit('l', 2)}) AS INTEGER) AS client,
       cast(({FIRST_DAY} + l * 30.0 / {LISTS}) * {DAY_MS} AS BIGINT) AS shown_ms,
       CASE WHEN {unit('l', 3)} < 0.6 THEN 'web' ELSE 'app' END AS surface
FROM range({LISTS}) t(l)
""")
db.execute(f"""
CREATE TABLE shown AS
SELECT lists.*, position, l * 32 + position AS row,
       cast(floor(200000 * pow({unit('query * 97 + (position + cast(floor(4 * ' + unit('l * 32 + position', 4) + ') AS INTEGER))', 5)}, 2)) AS INTEGER) AS item
FROM lists, range(1, 21) p(position)
""")
events = [("0", "TRUE", 0), ("1", f"{unit('row', 6)} < 0.12 / sqrt(position)", 20_000)]
events += [("2", f"{unit('row', 6)} < 0.02 / sqrt(position)", 60_000)]
events += [("3", f"{unit('row', 6)} < 0.008 / sqrt(position)", 90_000_000)]
db.execute(f"""
COPY (
  SELECT format('q-{{:016x}}', hash(l)) AS list_id,
         format('query number {{}}', query) AS query,
         format('c-{{:08x}}', client) AS client,
         format('item-{{:06d}}', item) AS item,
         action, position,
         time_ms, cast(time_ms // {DAY_MS} AS INTEGER) AS day,
         cast(shown_ms // {DAY_MS} AS INTEGER) AS list_day,
         surface
  FROM ({' UNION ALL '.join(
      f"SELECT *, {action}::TINYINT AS action, shown_ms + {delay} AS time_ms FROM shown WHERE {chosen}"
      for action, chosen, delay in events)})
  WHERE time_ms < {(FIRST_DAY + 30) * DAY_MS}
  ORDER BY time_ms, l, action, position
) TO '{FILE}' (FORMAT parquet, COMPRESSION zstd)
""")
print(db.execute(f"SELECT count(*), count(DISTINCT query), count(DISTINCT item) FROM '{FILE}'").fetchone(), file=sys.stderr)
