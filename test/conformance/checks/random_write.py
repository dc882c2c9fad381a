"""Writes random tables in random ways: random_write.py FOLDER SEED"""
import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from random_tables import Tables

folder, seed = sys.argv[1:]
r = random.Random(seed)


def write_parquet(path, table):
    options = {
        "version": r.choice(["1.0", "2.4", "2.6"]), "data_page_version": r.choice(["1.0", "2.0"]), "compression": r.choice(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]),
        "row_group_size": r.choice([1, 100, 10**6]), "data_page_size": r.choice([64, 10**6]), "use_dictionary": r.random() < 0.6, "write_statistics": r.random() < 0.8,
        "write_page_index": r.random() < 0.5, "store_schema": r.random() < 0.8, "use_deprecated_int96_timestamps": r.random() < 0.2, "dictionary_pagesize_limit": r.choice([100, 10**6]),
    }
    pq.write_table(table, path, **options)
    pq.ParquetFile(path).read().validate(full=True)  # which pyarrow fails at for some that it writes


def write_arrow(path, schema, batches, new):
    with pa.OSFile(path, "wb") as f, new(f, schema, options=pa.ipc.IpcWriteOptions(compression=r.choice([None, "lz4", "zstd"]), emit_dictionary_deltas=r.random() < 0.5)) as writer:
        for batch in batches:
            writer.write_batch(batch)


written = 0
while written < 16:
    kind = ["parquet", "arrow", "parquet", "arrows"][written % 4]
    path = f"{folder}/t{written}.{kind}"
    schema, batches = Tables(r.random(), parquet=kind == "parquet").batches()
    try:
        if kind == "parquet":
            write_parquet(path, pa.Table.from_batches(batches, schema))
        else:
            write_arrow(path, schema, batches, pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, OSError):  # Parquet or pyarrow has no such thing, or a file no other dictionary
        continue
    written += 1
