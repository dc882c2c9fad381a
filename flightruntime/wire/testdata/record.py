"""The streams in this folder, as pyarrow 26 sends them: python record.py PORT, of a server that keeps what DoPut and DoExchange receive."""

import sys

import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.flight as flight

client = flight.connect(f"grpc://127.0.0.1:{sys.argv[1]}")
point = pa.struct([("x", pa.float64()), ("label", pa.string())])
schema = pa.schema([
    ("n", pa.int64()),
    ("s", pa.string()),
    ("v", pa.string_view()),
    ("d", pa.dictionary(pa.int8(), pa.string())),
    ("l", pa.list_(point)),
    ("m", pa.map_(pa.string(), pa.int32())),
    ("w", pa.list_view(pa.int32())),
    ("r", pa.run_end_encoded(pa.int32(), pa.string())),
], metadata={"origin": "pyarrow"})
colours = ["red", "green", "blue"]


def batch(rows, known):
    return pa.record_batch([
        pa.array([None if i == 1 else i for i in range(rows)], pa.int64()),
        pa.array([f"é{i}" for i in range(rows)]),
        pa.array(["a string that is longer than a view" if i % 2 else None for i in range(rows)], pa.string_view()),
        pa.DictionaryArray.from_arrays(pa.array([i % known for i in range(rows)], pa.int8()), pa.array(colours[:known])),
        pa.array([[{"x": i / 2, "label": "p"}] * (i % 3) for i in range(rows)], pa.list_(point)),
        pa.array([[("k", i)] for i in range(rows)], pa.map_(pa.string(), pa.int32())),
        pa.array([list(range(i)) for i in range(rows)], pa.list_view(pa.int32())),
        compute.run_end_encode(pa.array(["a" if i < 2 else "b" for i in range(rows)], pa.string())),
    ], schema=schema)


def send(call, name, begin, **options):
    options = flight.FlightCallOptions(write_options=pa.ipc.IpcWriteOptions(**options))
    descriptor = flight.FlightDescriptor.for_path(name)
    if call == "put":
        writer, reader = client.do_put(descriptor, schema, options)
    else:
        writer, reader = client.do_exchange(descriptor, options)
        writer.write_metadata(b"before the schema")
        if begin:
            writer.begin(schema)
    if begin:
        writer.write_metadata(b"after the schema")
        writer.write_batch(batch(5, 1))
        writer.write_with_metadata(batch(4, 2), b"with a batch")
        writer.write_metadata(b"between")
        writer.write_batch(batch(0, 2))
        writer.write_batch(batch(6, 3))
    writer.done_writing()
    try:
        reader.read() if call == "put" else reader.read_chunk()
    except StopIteration:
        pass
    writer.close()


send("put", "put", True)
send("put", "put-zstd", True, compression="zstd")
send("put", "put-lz4-deltas", True, compression="lz4", emit_dictionary_deltas=True)
send("put", "put-v4", True, metadata_version=pa.ipc.MetadataVersion.V4)
send("exchange", "exchange", True, emit_dictionary_deltas=True)
send("exchange", "exchange-without-schema", False)
