"""The tables that are served. They are made from a seed, so that two runs read the same bytes, and kept in a folder until GENERATION changes."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# GENERATION is part of the folder's name: raise it when what is made below changes.
GENERATION = 1
SEED = 20240501
# Rows of a record batch, in Arrow files and in puts: batches of some MiB, the size that both servers do best with (see the curve).
BATCH_ROWS = 65_536
CITIES = [f"city {i:03d} of the many" for i in range(1_000)]


def rng(name):
    """A generator of its own for each table, so that none depends on which were made before."""
    return np.random.default_rng([SEED, *name.encode()])


def strings(r, rows, shortest, longest):
    """Text of random lengths, cut from one long string: as quick to make as numbers are."""
    lengths = r.integers(shortest, longest, rows, dtype=np.int32)
    offsets = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    letters = r.integers(97, 123, int(offsets[-1]), dtype=np.uint8)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(letters))


def float_table(rows, columns=8):
    r = rng(f"float64 {columns}")
    return pa.table({f"f{i}": r.random(rows) for i in range(columns)})


def string_table(rows):
    r = rng("strings")
    return pa.table({"id": np.arange(rows), "name": strings(r, rows, 4, 24), "note": strings(r, rows, 20, 60)})


def dictionary_table(rows):
    r = rng("dictionaries")

    def column():
        return pa.DictionaryArray.from_arrays(pa.array(r.integers(0, len(CITIES), rows, dtype=np.int32)), pa.array(CITIES))

    return pa.table({"from": column(), "to": column(), "via": column(), "fare": r.random(rows)})


def nested_table(rows):
    r = rng("nested")
    offsets = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(r.integers(0, 8, rows, dtype=np.int32), out=offsets[1:])
    values = int(offsets[-1])
    points = pa.StructArray.from_arrays([pa.array(r.random(values)), pa.array(r.random(values))], ["x", "y"])
    where = pa.StructArray.from_arrays([pa.array(r.random(rows)), strings(r, rows, 4, 16)], ["height", "place"])
    return pa.table({"path": pa.ListArray.from_arrays(pa.array(offsets), points), "where": where})


def trip_table(rows, first=0):
    """Six columns as they stand in data lakes: ids and times that grow, measures, a name out of a thousand and text."""
    r = rng(f"trips {first}")
    start = np.datetime64("2024-01-01T00:00:00", "us")
    return pa.table({
        "id": np.arange(first, first + rows),
        "at": start + np.cumsum(r.integers(0, 5_000_000, rows)).astype("timedelta64[us]"),
        "fare": np.round(r.gamma(3, 5, rows), 2),
        "distance": r.random(rows) * 30,
        "city": pa.array(CITIES).take(pa.array(r.integers(0, len(CITIES), rows))),
        "passengers": r.integers(1, 7, rows),
    })


def write_arrow(table, path, batch_rows=BATCH_ROWS):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=batch_rows)


def write_parquet(table, path, compression, group_rows):
    pq.write_table(table, path, compression=compression, row_group_size=group_rows)


class Data:
    """Files in a folder, made when they are first asked for. scale shrinks all of them: 1 is the size that the table names."""

    def __init__(self, folder, scale=1.0):
        self.folder = Path(folder) / f"data-{GENERATION}-pyarrow-{pa.__version__}-{scale:g}"
        self.scale = scale
        self.folder.mkdir(parents=True, exist_ok=True)

    def rows(self, full):
        return max(1_000, int(full * self.scale))

    def file(self, name, make):
        """The path of a file that make(path) writes, under its name only once it is complete."""
        path = self.folder / name
        if not path.exists():
            partial = path.with_name(f".{name}.{os.getpid()}")
            try:
                make(partial)
                partial.rename(path)
            finally:
                partial.unlink(missing_ok=True)
        return path

    def arrow(self, name, table, batch_rows=BATCH_ROWS):
        return self.file(f"{name}.arrow", lambda p: write_arrow(table(), p, batch_rows))

    # 320 MB each, at scale 1.
    def floats(self):
        return self.arrow("float64", lambda: float_table(self.rows(5_000_000)))

    def strings(self):
        return self.arrow("strings", lambda: string_table(self.rows(4_400_000)))

    def dictionaries(self):
        return self.arrow("dictionaries", lambda: dictionary_table(self.rows(16_000_000)))

    def nested(self):
        return self.arrow("nested", lambda: nested_table(self.rows(3_800_000)))

    def ten_rows(self):
        return self.arrow("ten", lambda: float_table(10))

    def trips(self, compression):
        """10 million rows of 6 columns in 100 row groups: Parquet, so that statistics can leave 99 of them out."""
        rows = self.rows(10_000_000)
        return self.file(f"trips-{compression}.parquet", lambda p: write_parquet(trip_table(rows), p, compression, rows // 100))

    def trips_arrow(self):
        return self.arrow("trips", lambda: pq.read_table(self.trips("zstd")))

    def half_the_trips(self):
        return self.arrow("half-the-trips", lambda: trip_table(self.rows(5_000_000)))

    # The columns and batches of these are what the curves vary.
    def floats_batched(self, batch_rows):
        return self.arrow(f"float64-batch-{batch_rows}", lambda: float_table(self.rows(5_000_000)), batch_rows)

    def floats_wide(self, columns):
        rows = self.rows(40_000_000 // columns)
        return self.arrow(f"float64-columns-{columns}", lambda: float_table(rows, columns), max(1, 8 * BATCH_ROWS // columns))

    def floats_sized(self, megabytes):
        rows = max(100, int(megabytes * 1_000_000 * self.scale) // 64)
        return self.arrow(f"float64-size-{megabytes:g}", lambda: float_table(rows))
