"""The data round trip: what was put, by arrow-go's client or by pyarrow, comes back equal."""
import glob
import os

import pyarrow as pa
import pyarrow.flight as flight
from expect import equal, raises
from types_tables import TABLES


def read_where_the_info_says(client, path):
    """Each batch comes with its number."""
    info = client.get_flight_info(flight.FlightDescriptor.for_path(path))
    (endpoint,) = info.endpoints
    (location,) = endpoint.locations
    with flight.connect(location) as there:
        reader = there.do_get(endpoint.ticket)
        chunks = list(reader)
        got = pa.Table.from_batches([c.data for c in chunks], reader.schema)
    assert [c.app_metadata.to_pybytes() for c in chunks] == [str(i).encode() for i in range(len(chunks))]
    assert info.total_records == got.num_rows
    assert info.schema.equals(got.schema, check_metadata=True)
    return got


def check_what_arrow_go_put(client, location, folder):
    failures = []
    paths = sorted(glob.glob(f"{folder}/*.arrow"))
    assert len(paths) == len(TABLES), paths
    for path in paths:
        with pa.OSFile(path) as f:
            want = pa.ipc.open_file(f).read_all()
        try:
            equal(read_where_the_info_says(client, path.removesuffix(".arrow") + ".json"), want)
        except Exception as e:  # all of them are told
            failures.append(f"{os.path.basename(path)}: {type(e).__name__}: {str(e)[:600]}")
    assert not failures, f"{len(failures)} of {len(paths)}:\n" + "\n".join(failures)


def check_what_pyarrow_put(client, location, folder):
    failures = []
    for name, table in TABLES.items():
        try:
            writer, reader = client.do_put(flight.FlightDescriptor.for_path(name), table.schema)
            with writer:
                for number, batch in enumerate(table.to_batches(max_chunksize=3)):
                    writer.write_with_metadata(batch, str(number).encode())
                    assert reader.read().to_pybytes() == str(number).encode()
                writer.done_writing()
                assert reader.read() is None
            equal(read_where_the_info_says(client, name), table)
        except Exception as e:
            failures.append(f"{name}: {type(e).__name__}: {str(e)[:600]}")
    assert not failures, f"{len(failures)} of {len(TABLES)}:\n" + "\n".join(failures)


def check_nothing_there(client, location, folder):
    with raises(pa.ArrowKeyError, '"absent"'):
        client.get_flight_info(flight.FlightDescriptor.for_path("absent"))
    with raises(pa.ArrowInvalid, "expected a descriptor with a path of one part"):
        client.get_flight_info(flight.FlightDescriptor.for_command(b"a"))
