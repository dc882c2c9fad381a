"""Writes a file of each type and format: types_write.py FOLDER"""
import sys

import pyarrow as pa
import pyarrow.parquet
from types_tables import TABLES

for name, table in TABLES.items():
    path = f"{sys.argv[1]}/{name}"
    for suffix, options in {"": {}, "-lz4": {"compression": "lz4"}, "-zstd": {"compression": "zstd"}}.items():
        with pa.OSFile(f"{path}{suffix}.arrow", "wb") as f, pa.ipc.new_file(f, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
            writer.write_table(table, max_chunksize=3)
    with pa.OSFile(f"{path}.arrows", "wb") as f, pa.ipc.new_stream(f, table.schema) as writer:
        writer.write_table(table)
    if name not in ("unions", "intervals", "views"):  # Parquet has no such types, or pyarrow does not write them
        pa.parquet.write_table(table, f"{path}.parquet", row_group_size=4)
