"""Tables of the types that Arrow has, nulls in each."""
import datetime
import decimal

import pyarrow as pa

D = decimal.Decimal
instant = datetime.datetime(2026, 2, 3, 4, 5, 6, 789000)


def table(metadata=None, **columns):
    fields = [pa.field(name, column.type) for name, column in columns.items()]
    return pa.table(list(columns.values()), schema=pa.schema(fields, metadata=metadata))


TABLES = {
    "integers": table(**{str(t): pa.array([1, None, 0, 100, 7], t) for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())}),
    "floats": table(f32=pa.array([1.5, None, 3.25, float("-inf"), -0.0], pa.float32()), f64=pa.array([1.5, None, float("inf"), 0.1, -0.0]), f16=pa.array([1.5, None, 0.25, 2, -2], pa.float16())),
    "text": table(s=pa.array(["a", None, "", "äöü", "🙂" * 50]), l=pa.array(["a", None, "", "b", "c"], pa.large_string()), b=pa.array([b"\x00", None, b"", b"\xff", b"x"]), lb=pa.array([b"\x00", None, b"", b"\xff", b"x"], pa.large_binary()), f=pa.array([b"abc", None, b"def", b"ghi", b"jkl"], pa.binary(3))),
    "booleans": table(b=pa.array([True, None, False, True, False] * 5), n=pa.nulls(25)),
    "times": table(
        d32=pa.array([instant.date(), None], pa.date32()), d64=pa.array([instant.date(), None], pa.date64()),
        t32s=pa.array([1, None], pa.time32("s")), t32ms=pa.array([1, None], pa.time32("ms")), t64us=pa.array([1, None], pa.time64("us")), t64ns=pa.array([1, None], pa.time64("ns")),
        s=pa.array([1, None], pa.timestamp("s")), ms=pa.array([instant, None], pa.timestamp("ms")), us=pa.array([instant, None], pa.timestamp("us", "UTC")), ns=pa.array([instant, None], pa.timestamp("ns", "Europe/Amsterdam")),
        ds=pa.array([1, None], pa.duration("s")), dns=pa.array([1, None], pa.duration("ns")),
    ),
    "decimals": table(d32=pa.array([D("1.5"), None], pa.decimal32(5, 2)), d64=pa.array([D("1.5"), None], pa.decimal64(15, 2)), d128=pa.array([D("12345678901234567890.12"), None], pa.decimal128(38, 2)), d256=pa.array([D("-1.5"), None], pa.decimal256(70, 3))),
    "nested": table(
        l=pa.array([[1, None], None, [], [2, 3, 4]], pa.list_(pa.int64())), ll=pa.array([["a"], None, [], ["b", None]], pa.large_list(pa.string())), fl=pa.array([[1, 2], None, [3, None], [5, 6]], pa.list_(pa.int32(), 2)),
        s=pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}, {"x": 4, "y": None}]), m=pa.array([[("k", 1)], None, [], [("a", None), ("b", 2)]], pa.map_(pa.string(), pa.int64())),
        deep=pa.array([[{"a": [[1], None]}], None, [], [{"a": None}]], pa.list_(pa.struct([("a", pa.list_(pa.list_(pa.int8())))]))),
    ),
    "dictionaries": table(d=pa.array(["a", "b", None, "a", "c", "b"]).dictionary_encode(), i=pa.array([1, 2, None, 1, 3, 2]).dictionary_encode()),
    "empty": table(a=pa.array([], pa.int64()), s=pa.array([], pa.string())),
    "no-columns": pa.table({}),
    "metadata": pa.table([pa.array([1, 2])], schema=pa.schema([pa.field("a", pa.int64(), nullable=False, metadata={"unit": "m"})], metadata={"owner": "someone"})),
    "unions": table(sparse=pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]), dense=pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["a"])])),
    "intervals": table(mdn=pa.array([pa.MonthDayNano([1, 2, 3]), None], pa.month_day_nano_interval())),
    "views": table(s=pa.array(["a", None, "a text longer than twelve bytes"], pa.string_view()), b=pa.array([b"a", None, b"bytes, more than twelve of them"], pa.binary_view())),
    "wide": table(**{f"c{i}": pa.array([i, None]) for i in range(2000)}),
}
