"""Writes large.arrow, 160 MB in one batch: large_write.py FOLDER"""
import sys

import pyarrow as pa

table = pa.table({"n": pa.array(range(20_000_000), pa.int64())})
with pa.OSFile(f"{sys.argv[1]}/large.arrow", "wb") as f, pa.ipc.new_file(f, table.schema) as writer:
    writer.write_batch(table.to_batches()[0])
