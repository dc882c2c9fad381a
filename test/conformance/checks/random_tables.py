"""Random tables, how they are compared, and random questions about them. The same seed makes the same."""
import datetime
import decimal
import math
import random

import pyarrow as pa
import pyarrow.compute as pc

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
TEXT = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4)]
UNITS = ["s", "ms", "us", "ns"]
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
WORDS = ["", "\x00", "a", "a\x00", "äöü🙂", "twelve bytes", "thirteen byte", "null", "1.5", '"', "a,b\n"]


class Tables:
    """Makes tables. Those for Parquet have the types that pyarrow can write as Parquet."""

    def __init__(self, seed, parquet=False):
        self.r, self.parquet = random.Random(seed), parquet

    def flat(self):
        r = self.r
        return r.choice([
            r.choice(INTEGERS), r.choice([pa.float16(), pa.float32(), pa.float64()]), r.choice(TEXT), r.choice(TEXT), pa.bool_(), pa.null(), pa.date32(), pa.date64(),
            r.choice([pa.decimal32(9, 2), pa.decimal64(18, 0), pa.decimal128(38, 9), pa.decimal256(70, 30)]), r.choice([pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]),
            pa.timestamp(r.choice(UNITS), r.choice([None, "UTC", "Asia/Tokyo", "+02:00"])), pa.duration(r.choice(UNITS)), r.choice([pa.uuid(), pa.json_(), pa.bool8()]),
        ])

    def field(self, name, depth):
        t = self.type(depth)
        return pa.field(name, t, nullable=pa.types.is_null(t) or self.r.random() < 0.8)

    def type(self, depth=2):
        r = self.r
        kind = r.randrange(11) if depth else 0
        if kind < 5:
            return self.flat()
        if kind == 5:
            return r.choice([pa.list_, pa.large_list])(self.field("element", depth - 1))
        if kind == 6:
            return pa.list_(self.field("element", depth - 1), 2)
        if kind == 7:
            return pa.struct([self.field(f"f{i}", depth - 1) for i in range(r.randint(1, 3))])
        if kind == 8:
            return pa.map_(r.choice([pa.string(), pa.int32()]), self.field("value", depth - 1))
        if kind == 9 or self.parquet:
            return pa.dictionary(r.choice([pa.int8(), pa.uint16(), pa.int32()]), r.choice([pa.string(), pa.string(), pa.int64(), pa.float64()]))
        inside = self.field("element", depth - 1)
        return r.choice([pa.list_view(inside), pa.large_list_view(inside), pa.run_end_encoded(pa.int32(), self.flat_storage()), *(u([inside.with_nullable(True)]) for u in (pa.sparse_union, pa.dense_union))])

    def flat_storage(self):
        t = self.flat()
        return t.storage_type if isinstance(t, pa.BaseExtensionType) else t

    def value(self, t):
        r, is_ = self.r, pa.types
        if is_.is_boolean(t):
            return r.random() < 0.5
        if is_.is_integer(t):
            low, high = (0, 2**t.bit_width - 1) if str(t)[0] == "u" else (-(2 ** (t.bit_width - 1)), 2 ** (t.bit_width - 1) - 1)
            return r.choice([low, high, r.randint(low, high), r.randint(0, 9)])
        if is_.is_floating(t):
            return r.choice([math.nan, -0.0, 0.0, math.inf, 1.5, r.randint(-999, 999) / 8])
        if is_.is_decimal(t):
            most = 10**t.precision - 1
            return decimal.Decimal(r.choice([most, -most, 0, r.randint(-most, most)])).scaleb(-t.scale, decimal.Context(prec=99))
        if is_.is_date64(t):
            return r.randint(-9999, 30000) * 86_400_000
        if is_.is_date32(t) or is_.is_time(t):
            return r.randint(0, 86_399)
        if is_.is_timestamp(t) or is_.is_duration(t):
            return r.choice([0, -1, r.randint(0, 2 * 10**9) * TICKS[t.unit]])
        text = r.choice(WORDS)
        if is_.is_fixed_size_binary(t):
            return text.encode()[: t.byte_width].ljust(t.byte_width, b"-")
        return text.encode() if "binary" in str(t) else text

    def nulls(self, n, nullable):
        part = self.r.choice([0, 0.1, 0.5, 1]) if nullable else 0
        return [self.r.random() < part for _ in range(n)]

    def array(self, t, n, nullable=True):
        """An array, often a slice, with something under its nulls."""
        if self.r.random() < 0.3:
            before = self.r.randint(0, 9)
            return self.whole(t, before + n + self.r.randint(0, 9), nullable).slice(before, n)
        return self.whole(t, n, nullable)

    def whole(self, t, n, nullable):
        r, is_ = self.r, pa.types
        if isinstance(t, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(t, self.array(t.storage_type, n, nullable))
        if is_.is_null(t):
            return pa.nulls(n)
        if is_.is_run_end_encoded(t):
            ends = sorted({n, *(r.randint(1, n) for _ in range(n // 3))}) if n else []
            return pa.RunEndEncodedArray.from_arrays(pa.array(ends, t.run_end_type), self.array(t.value_type, len(ends), nullable), type=t)
        if is_.is_union(t):
            codes, child = pa.array([0] * n, pa.int8()), self.array(t.field(0).type, n)
            return pa.UnionArray.from_sparse(codes, [child], ["element"]) if t.mode == "sparse" else pa.UnionArray.from_dense(codes, pa.array(range(n), pa.int32()), [child], ["element"])
        nulls = self.nulls(n, nullable)
        if is_.is_dictionary(t):
            values = self.array(t.value_type, r.randint(1, 5), nullable=False)
            return pa.DictionaryArray.from_arrays(pa.array([None if null else r.randrange(len(values)) for null in nulls], t.index_type), values)
        mask = pa.array(nulls, pa.bool_()) if any(nulls) else None
        if is_.is_struct(t):
            return pa.StructArray.from_arrays([self.array(f.type, n, f.nullable) for f in t], fields=list(t), mask=mask)
        if is_.is_fixed_size_list(t):
            return pa.FixedSizeListArray.from_arrays(self.array(t.value_type, n * t.list_size, t.value_field.nullable), type=t, mask=mask)
        if is_.is_nested(t):
            return self.lists(t, n, nulls, mask)
        values = [None if null else self.value(t) for null in nulls]
        if is_.is_temporal(t):
            return pa.array(values, pa.int32() if t.bit_width == 32 else pa.int64()).view(t)
        plain = pa.string() if is_.is_string_view(t) else pa.binary() if is_.is_binary_view(t) else pa.float64() if is_.is_float16(t) else t
        return pa.array(values, plain).cast(t)

    def lists(self, t, n, nulls, mask):
        sizes = [self.r.choice([0, 0, 1, 2, 5]) for _ in range(n)]
        offsets = [0]
        for size in sizes:
            offsets.append(offsets[-1] + size)
        if pa.types.is_map(t):
            starts = [None if null else o for null, o in zip(nulls, offsets)] + offsets[-1:]
            keys, items = self.array(t.key_type, offsets[-1], nullable=False), self.array(t.item_type, offsets[-1], t.item_field.nullable)
            return pa.MapArray.from_arrays(pa.array(starts, pa.int32()), keys, items, type=t)
        values = self.array(t.value_type, offsets[-1], t.value_field.nullable)
        large = str(t).startswith("large")
        offset = pa.int64() if large else pa.int32()
        if "list_view" in str(t)[:16]:
            cls = pa.LargeListViewArray if large else pa.ListViewArray
            order = self.r.sample(range(n), n)  # views need not stand in the order of what they refer to
            return cls.from_arrays(pa.array([offsets[i] for i in order], offset), pa.array([sizes[i] for i in order], offset), values, type=t, mask=mask)
        return (pa.LargeListArray if large else pa.ListArray).from_arrays(pa.array(offsets, offset), values, type=t, mask=mask)

    def batches(self):
        """A schema, and batches of it. What pyarrow cannot make arrays of is left out."""
        fields, batches, rows = [], [], [self.r.choice([0, 1, 3, 50]) for _ in range(self.r.randint(1, 4))]
        while len(fields) < 5:
            f = self.field(f"c{len(fields)}", 2).with_metadata(self.r.choice([None, {"unit": "m"}]))
            try:
                batches.append([self.array(f.type, n, f.nullable) for n in rows])
            except pa.ArrowNotImplementedError:
                continue
            fields.append(f)
        schema = pa.schema(fields, metadata=self.r.choice([None, {"owner": "someone"}]))
        return schema, [pa.record_batch([column[i] for column in batches], schema=schema) for i in range(len(rows))]


def value(s):
    """A scalar as something whose repr tells it apart from all others of its type."""
    if not s.is_valid:
        return None
    if isinstance(s, pa.DictionaryScalar):
        return value(s.dictionary[s.index.as_py()])
    if isinstance(s, (pa.ExtensionScalar, pa.RunEndEncodedScalar, pa.UnionScalar)):
        return value(s.value)
    if isinstance(s, pa.StructScalar):
        return [value(s[i]) for i in range(len(s.type))]
    if isinstance(s, pa.ListScalar) or hasattr(s, "values"):
        return [value(e) for e in s.values or []]
    return s.value if hasattr(s, "value") else s.as_py()


def plainer(t):
    """A type without the names that Parquet does not keep: those of a map's entries, and of elements."""
    is_ = pa.types
    if is_.is_map(t):
        return "map", plainer(t.key_type), plainer(t.item_type), t.item_field.nullable
    if is_.is_struct(t):
        return "struct", [(f.name, plainer(f.type), f.nullable) for f in t]
    if is_.is_list(t) or is_.is_large_list(t) or is_.is_fixed_size_list(t):
        return str(t).split("<")[0], t.list_size if is_.is_fixed_size_list(t) else None, plainer(t.value_type), t.value_field.nullable
    return t


def expect(want, got, parquet=False):
    """Tables are equal: schema, metadata, and every value, to the sign of a zero."""
    got.validate(full=True)
    named = plainer if parquet else lambda t: t
    assert want.schema.names == got.schema.names, f"expected columns {want.schema.names}, got {got.schema.names}"
    for a, b in zip(want.schema, got.schema):
        for x, y in ((named(a.type), named(b.type)), (a.nullable, b.nullable), (a.metadata or {}, b.metadata or {})):
            assert x == y, f"column {a.name}: expected {x}, got {y}"
    assert want.schema.metadata == got.schema.metadata, f"expected {want.schema.metadata}, got {got.schema.metadata}"
    assert want.num_rows == got.num_rows, f"expected {want.num_rows} rows, got {got.num_rows}"
    for f, a, b in zip(want.schema, want.columns, got.columns):
        for row, (x, y) in enumerate(zip(a, b)):
            if repr(value(x)) != repr(value(y)):
                raise AssertionError(f"{f}, row {row}: expected {value(x)!r}, got {value(y)!r}"[:500])


def literal(s):
    """A value as it is written in a filter; None for types that are left out."""
    t, is_ = s.type, pa.types
    if is_.is_integer(t):
        return f"{s.as_py()}u" if str(t)[0] == "u" else str(s.as_py())
    if is_.is_floating(t):
        return repr(float(s.as_py())) if math.isfinite(s.as_py()) else f"double('{s.as_py()}')"
    if is_.is_decimal(t):
        return format(s.as_py(), "f") + ("" if t.scale else ".0")
    if is_.is_string(t) or is_.is_large_string(t):
        return "'" + "".join(f"\\U{ord(c):08x}" for c in s.as_py()) + "'"
    if is_.is_binary(t) or is_.is_large_binary(t) or is_.is_fixed_size_binary(t):
        return "b'" + "".join(f"\\x{c:02x}" for c in s.as_py()) + "'"
    if is_.is_timestamp(t):
        seconds, rest = divmod(s.value, TICKS[t.unit])
        at = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
        return f"timestamp('{at:%Y-%m-%dT%H:%M:%S}.{rest * (10**9 // TICKS[t.unit]):09}Z')"
    return None


COMPARISONS = {"==": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}


def condition(r, table):
    """A filter, and the numbers of the rows that it matches; None if the column is of no type that has one here."""
    f = r.choice(list(table.schema))
    column = table.column(f.name)
    if r.random() < 0.3 and not pa.types.is_union(f.type):
        rows = [i for i, s in enumerate(column) if value(s) is None]
        return f"{f.name} == null", rows
    try:
        column = pa.chunked_array([c.dictionary_decode() if pa.types.is_dictionary(f.type) else c for c in column.chunks])
        known = [s for s in column if s.is_valid]
        one = r.choice(known) if known else None
        text = one is not None and literal(one)
        if not text:
            return None
        op = r.choice(list(COMPARISONS))
        if pa.types.is_floating(one.type):
            column, one = column.cast(pa.float64()), one.cast(pa.float64())
        return f"{f.name} {op} {text}", [i for i, match in enumerate(COMPARISONS[op](column, one).to_pylist()) if match]
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return None
