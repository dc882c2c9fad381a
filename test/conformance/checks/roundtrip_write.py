"""Writes a file of each type that arrow-go's integration client can read as JSON: roundtrip_write.py FOLDER"""
import sys

import pyarrow as pa
from types_tables import TABLES, D, table

# What arrow-go 18.8 cannot write as JSON: infinities, and decimals that have a fraction or are null.
REPLACED = {
    "floats": table(f32=pa.array([1.5, None, 3.25, -0.0], pa.float32()), f64=pa.array([1.5, None, 0.1, 5e-324]), f16=pa.array([1.5, None, 0.25, -2], pa.float16())),
    "decimals": table(
        d32=pa.array([D(99999), D(0)], pa.decimal32(5, 0)), d64=pa.array([D(-15), D(1)], pa.decimal64(15, 0)),
        d128=pa.array([D(10**38 - 1), D(-1)], pa.decimal128(38, 0)), d256=pa.array([D(1 - 10**76), D(10**60)], pa.decimal256(76, 0)),
    ),
}

for name, data in (TABLES | REPLACED).items():
    with pa.OSFile(f"{sys.argv[1]}/{name}.arrow", "wb") as f, pa.ipc.new_file(f, data.schema) as writer:
        writer.write_table(data, max_chunksize=3)
