"""Tables for the runtime to write as Parquet, and what pyarrow reads of its files: parquet_columns.py write|check FOLDER"""
import decimal
import math
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

TYPES = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.bool_(),
    pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.binary(4), pa.decimal128(7, 2), pa.decimal128(30, 4), pa.decimal256(60, 3),
    pa.date32(), pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns", "Asia/Tokyo"),
    pa.duration("ms"), pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.uint32(), pa.binary()), pa.list_(pa.int32()), pa.struct([("x", pa.string())]),
]


def value(t, n):
    """The n-th value of a type, of some hundred or a million that differ."""
    if pa.types.is_dictionary(t):
        return value(t.value_type, n % 100)
    if pa.types.is_list(t):
        return [n] * (n % 3)
    if pa.types.is_struct(t):
        return {"x": str(n)}
    if pa.types.is_boolean(t):
        return n % 2 == 0
    if pa.types.is_floating(t):
        return math.nan if n % 50 == 7 else -0.0 if n % 50 == 8 else n % 1000 / 8
    if pa.types.is_decimal(t):
        return decimal.Decimal(n % 10_000) / 4
    if pa.types.is_string(t) or pa.types.is_large_string(t):
        return "äx" * (n % 9) + str(n)
    if pa.types.is_fixed_size_binary(t):
        return b"%04d" % (n % 10_000)
    if pa.types.is_binary(t) or pa.types.is_large_binary(t):
        return b"\xff\x00" * (n % 9) + b"%d" % n
    if pa.types.is_integer(t):
        return n % 100 - (0 if str(t).startswith("u") else 50) if t.bit_width < 32 else n
    return n  # dates, times and durations, which are numbers


def column(t, rows, distinct, nulls):
    r = random.Random(f"{t} {rows} {distinct}")
    numbers = (r.randrange(distinct) for _ in range(rows))
    values = [None if nulls and r.random() < nulls else value(t, n) for n in numbers]
    if pa.types.is_dictionary(t):
        return pa.array(values, t.value_type).dictionary_encode().cast(t)
    if pa.types.is_temporal(t):
        return pa.array(values, pa.int32() if t.bit_width == 32 else pa.int64()).cast(t)
    return pa.array(values, t)


# Rows, values that differ, the part that is null, and rows of a batch.
SHAPES = {
    "repeating": (20_000, 50, 0, 20_000), "distinct": (20_000, 1_000_000, 0, 3_000), "repeating-nulls": (20_000, 50, 0.3, 777), "distinct-nulls": (20_000, 1_000_000, 0.3, 20_000),
    "nothing-but-nulls": (5_000, 1, 1, 2_000), "one-row": (1, 100, 0, 1), "no-rows": (0, 1, 0, 1), "two-groups": (1_100_000, 0, 0, 1 << 18),
}


def table(name):
    rows, distinct, nulls, _ = SHAPES[name]
    if name == "two-groups":  # by the rows that a group has at most
        numbers = pa.array(range(rows))
        return pa.table({"n": numbers, "few": pc.bit_wise_and(numbers, 7), "s": pc.bit_wise_and(numbers, 1023).cast(pa.string())})
    columns = [column(t, rows, distinct, nulls) for t in TYPES]
    fields = [pa.field(f"{i} {t}", t, nullable=nulls > 0 or i % 2 == 0) for i, t in enumerate(TYPES)]
    return pa.table(columns, schema=pa.schema(fields, metadata={"owner": "someone"}))


def write(folder):
    for name, (_, _, _, batch) in SHAPES.items():
        with pa.OSFile(f"{folder}/{name}.arrow", "wb") as f, pa.ipc.new_file(f, table(name).schema) as writer:
            writer.write_table(table(name).combine_chunks(), max_chunksize=batch)


def plain(a):
    """An array without chunks and dictionaries, with a value for NaN, which equals nothing."""
    a = a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a
    a = a.cast(a.type.value_type) if pa.types.is_dictionary(a.type) else a
    if pa.types.is_floating(a.type):
        a = pc.if_else(pc.is_nan(a.cast(pa.float64())), -1e9, a.cast(pa.float64()))
    return a


def expect(what, want, got):
    if want != got:
        raise ValueError(f"{what}: expected {want!r}, got {got!r}")


def check_statistics(what, stats, a):
    expect(f"{what}, nulls", a.null_count, stats.null_count)
    if pa.types.is_floating(a.type):
        a = a.filter(pc.invert(pc.is_nan(a.cast(pa.float64()))))
    if pa.types.is_dictionary(a.type):
        a = a.cast(a.type.value_type)
    if a.null_count == len(a):
        expect(f"{what}, bounds", False, stats.has_min_max)
        return
    if a.type == pa.float16() or pa.types.is_duration(a.type):
        return  # pc.min_max has no half floats, and durations are integers in Parquet
    bounds = pc.min_max(a).as_py() if a.type not in (pa.timestamp("ns", "Asia/Tokyo"), pa.time64("ns")) else None
    if bounds:
        got = {"min": stats.min, "max": stats.max}
        expect(f"{what}, bounds", {k: v.replace(tzinfo=None) if hasattr(v, "tzinfo") else v for k, v in bounds.items()},
               {k: v.replace(tzinfo=None) if hasattr(v, "tzinfo") else v for k, v in got.items()})


def check(folder):
    for name in SHAPES:
        want, path = pa.ipc.open_file(f"{folder}/{name}.arrow").read_all(), f"{folder}/{name}.parquet"
        got = pq.read_table(path)
        expect(f"{name}, schema", want.schema.remove_metadata(), got.schema.remove_metadata())
        expect(f"{name}, metadata", want.schema.metadata, got.schema.metadata)
        for field in want.schema:
            if not plain(want[field.name]).equals(plain(got[field.name])):
                raise ValueError(f"{name}, {field}: expected {want[field.name][:20]}, got {got[field.name][:20]}")
        metadata, first = pq.ParquetFile(path).metadata, 0
        expect(f"{name}, rows", want.num_rows, metadata.num_rows)
        for g in range(metadata.num_row_groups):
            group = metadata.row_group(g)
            part = want.slice(first, group.num_rows)
            first += group.num_rows
            for c in range(group.num_columns):
                chunk = group.column(c)
                if "." not in chunk.path_in_schema:
                    check_statistics(f"{name}, row group {g}, {chunk.path_in_schema}", chunk.statistics, part[chunk.path_in_schema].combine_chunks())
    expect("row groups", 2, pq.ParquetFile(f"{folder}/two-groups.parquet").metadata.num_row_groups)


{"write": write, "check": check}[sys.argv[1]](Path(sys.argv[2]))
