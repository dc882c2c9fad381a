"""Tables of the types that Arrow has, nulls in each."""
import datetime
import decimal
import uuid

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
        s=pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}, {"x": 4, "y": None}]),
        deep=pa.array([[{"a": [[1], None]}], None, [], [{"a": None}]], pa.list_(pa.struct([("a", pa.list_(pa.list_(pa.int8())))]))),
    ),
    "maps": table(m=pa.array([[("k", 1)], None, [], [("a", None), ("b", 2)]], pa.map_(pa.string(), pa.int64())), sorted=pa.array([[(1, "a")], None, [], [(1, None), (2, "b")]], pa.map_(pa.int32(), pa.string(), keys_sorted=True))),
    "nested-times": table(  # what Parquet stores otherwise, within what is nested
        l=pa.array([[instant, None], None], pa.list_(pa.timestamp("ms", "Europe/Amsterdam"))), d=pa.array([[1, None], None], pa.list_(pa.duration("us"))),
        s=pa.array([{"d": D("1.5"), "t": 5}, None], pa.struct([("d", pa.decimal64(12, 1)), ("t", pa.timestamp("us", "Asia/Tokyo"))])),
    ),
    "nested-nulls": table(l=pa.array([[None, None], None, []], pa.list_(pa.null())), s=pa.array([{"n": None, "x": 1}, None, {"n": None, "x": 2}], pa.struct([("n", pa.null()), ("x", pa.int8())]))),
    "dictionaries": table(d=pa.array(["a", "b", None, "a", "c", "b"]).dictionary_encode(), i=pa.array([1, 2, None, 1, 3, 2]).dictionary_encode()),
    "nested-dictionaries": table(
        l=pa.array([["a", "b"], None, ["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))), o=pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.uint16()), pa.array(["x", "y"]), ordered=True),
        s=pa.StructArray.from_arrays([pa.array(["p", "q", "p"]).dictionary_encode(), pa.array([1, 2, 3])], ["d", "n"]),
    ),
    "dictionary-of-lists": table(v=pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int32()), pa.array([[1, 2], [3]]))),
    "empty": table(a=pa.array([], pa.int64()), s=pa.array([], pa.string()), l=pa.array([], pa.list_(pa.string_view())), d=pa.array([], pa.dictionary(pa.int8(), pa.string()))),
    "no-columns": pa.table({}),
    "metadata": pa.table([pa.array([1, 2])], schema=pa.schema([pa.field("a", pa.int64(), nullable=False, metadata={"unit": "m"})], metadata={"owner": "someone"})),
    "unions": table(sparse=pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]), dense=pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["a"])])),
    "intervals": table(mdn=pa.array([pa.MonthDayNano([1, 2, 3]), None], pa.month_day_nano_interval())),
    "views": table(s=pa.array(["a", None, "a text longer than twelve bytes", "", "twelve bytes"], pa.string_view()), b=pa.array([b"a", None, b"bytes, more than twelve of them", b"", b"\xff"], pa.binary_view())),
    "list-views": table(
        l=pa.array([[1, None], None, [], [2, 3, 4]], pa.list_view(pa.int64())), ll=pa.array([["a"], None, [], ["b", None]], pa.large_list_view(pa.string())),
        v=pa.array([["a"], None, [], ["a text longer than twelve bytes", None]], pa.list_(pa.string_view())), d=pa.array([[[1]], None, [], [[2, 3], None]], pa.list_view(pa.list_view(pa.int8()))),
    ),
    "runs": table(
        i16=pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 5], pa.int16()), pa.array([1.5, None, 2.5])), i32=pa.RunEndEncodedArray.from_arrays(pa.array([1, 5], pa.int32()), pa.array(["a", "b"])),
        i64=pa.RunEndEncodedArray.from_arrays(pa.array([4, 5], pa.int64()), pa.array([[1, 2], None], pa.list_(pa.int8()))),
    ),
    "extensions": pa.table(
        {
            "u": pa.array([uuid.UUID(int=7).bytes, None], pa.uuid()), "j": pa.array(['{"a": 1}', None], pa.json_()), "b": pa.array([1, None], pa.bool8()),
            "t": pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int32(), [2, 2]), pa.array([[1, 2, 3, 4], None], pa.list_(pa.int32(), 4))),
            "o": pa.ExtensionArray.from_storage(pa.opaque(pa.binary(), "geometry", "acme"), pa.array([b"x", None])),
        }
    ),
    "unknown-extension": pa.table([pa.array([1, None])], schema=pa.schema([pa.field("a", pa.int64(), metadata={"ARROW:extension:name": "acme.money", "ARROW:extension:metadata": "EUR"})])),
    "nested-metadata": pa.table(
        [pa.array([[{"x": 1}], None])],
        schema=pa.schema([pa.field("a", pa.list_(pa.field("entry", pa.struct([pa.field("x", pa.int8(), nullable=False, metadata={"unit": "m"})]), nullable=False)), metadata={"k": "v"})], metadata={"owner": "someone"}),
    ),
    "same-names": pa.table([pa.array([1]), pa.array(["a"])], names=["a", "a"]),
    "wide": table(**{f"c{i}": pa.array([i, None]) for i in range(2000)}),
}
