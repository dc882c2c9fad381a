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
    if name not in ("unions", "intervals", "runs", "dictionary-of-lists", "same-names"):  # Parquet has no such types, or pyarrow does not write them
        pa.parquet.write_table(table, f"{path}.parquet", row_group_size=4)

# Nothing but a schema; a batch without rows between others; decimals that Parquet stores as integers.
integers = TABLES["integers"]
with pa.OSFile(f"{sys.argv[1]}/no-batches.arrow", "wb") as f, pa.ipc.new_file(f, integers.schema):
    pass
with pa.OSFile(f"{sys.argv[1]}/no-batches.arrows", "wb") as f, pa.ipc.new_stream(f, integers.schema):
    pass
pa.parquet.ParquetWriter(f"{sys.argv[1]}/no-row-groups.parquet", integers.schema).close()
with pa.OSFile(f"{sys.argv[1]}/no-rows.arrow", "wb") as f, pa.ipc.new_file(f, integers.schema) as writer:
    for batch in integers.to_batches():
        writer.write_batch(batch.slice(0, 0))
        writer.write_batch(batch)
        writer.write_batch(batch.slice(0, 0))
pa.parquet.write_table(TABLES["decimals"], f"{sys.argv[1]}/decimals-as-integers.parquet", store_decimal_as_integer=True)
