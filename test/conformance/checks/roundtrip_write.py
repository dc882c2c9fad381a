"""Writes a file of each type that arrow-go's integration client can read as JSON: roundtrip_write.py FOLDER"""
import sys

import pyarrow as pa
from types_tables import TABLES, D, instant, table

# What arrow-go 18.8 cannot write as JSON: infinities, decimals that have a fraction or are null, and that a dictionary is ordered.
REPLACED = {
    "floats": table(f32=pa.array([1.5, None, 3.25, -0.0], pa.float32()), f64=pa.array([1.5, None, 0.1, 5e-324]), f16=pa.array([1.5, None, 0.25, -2], pa.float16())),
    "decimals": table(
        d32=pa.array([D(99999), D(0)], pa.decimal32(5, 0)), d64=pa.array([D(-15), D(1)], pa.decimal64(15, 0)),
        d128=pa.array([D(10**38 - 1), D(-1)], pa.decimal128(38, 0)), d256=pa.array([D(1 - 10**76), D(10**60)], pa.decimal256(76, 0)),
    ),
    "nested-times": table(
        l=pa.array([[instant, None], None], pa.list_(pa.timestamp("ms", "Europe/Amsterdam"))), d=pa.array([[1, None], None], pa.list_(pa.duration("us"))),
        s=pa.array([{"d": D(15), "t": 5}, {"d": D(-1), "t": None}], pa.struct([("d", pa.decimal64(12, 0)), ("t", pa.timestamp("us", "Asia/Tokyo"))])),
    ),
    "nested-dictionaries": table(
        l=pa.array([["a", "b"], None, ["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        s=pa.StructArray.from_arrays([pa.array(["p", "q", "p"]).dictionary_encode(), pa.array([1, 2, 3])], ["d", "n"]),
    ),
}

for name, data in (TABLES | REPLACED).items():
    with pa.OSFile(f"{sys.argv[1]}/{name}.arrow", "wb") as f, pa.ipc.new_file(f, data.schema) as writer:
        writer.write_table(data, max_chunksize=3)
