"""Random tables that random_write.py wrote are answered as pyarrow reads them, and those that are put come back: arguments are its folder and seed."""
import glob
import json
import os
import random

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq
from random_tables import Tables, condition, expect


def read(path):
    if path.endswith(".parquet"):
        return pq.ParquetFile(path).read()
    with pa.OSFile(path) as f:
        return (pa.ipc.open_stream(f) if path.endswith(".arrows") else pa.ipc.open_file(f)).read_all()


def rows(table, numbers):
    pieces = [table.slice(i, 1) for i in numbers]
    return pa.Table.from_batches([b for p in pieces for b in p.to_batches()], table.schema)


def ask(client, **query):
    info = client.get_flight_info(flight.FlightDescriptor.for_command(json.dumps(query)))
    (endpoint,) = info.endpoints
    return client.do_get(endpoint.ticket).read_all()


def questions(client, r, name, table, parquet):
    expect(table, client.do_get(flight.Ticket(name.encode())).read_all(), parquet)
    columns = r.sample(table.column_names, r.randint(1, len(table.column_names)))
    expect(table.select(columns), ask(client, dataset=name, columns=columns), parquet)
    for _ in range(3):
        if (asked := condition(r, table)) is not None:
            text, numbers = asked
            try:
                expect(rows(table, numbers).select(columns), ask(client, dataset=name, columns=columns, filter=text), parquet)
            except Exception as e:
                raise AssertionError(f"filter {text}: {type(e).__name__}: {e}") from e


def every(folder, seed, check):
    """Calls check for each file, and tells of all that fail."""
    failures = []
    for path in sorted(glob.glob(f"{folder}/t*.*")):
        name = os.path.basename(path).replace(".", "-")
        try:
            check(random.Random(f"{seed} {name}"), name, read(path), path.endswith(".parquet"))
        except Exception as e:
            failures.append(f"{name}: {type(e).__name__}: {str(e)[:1500]}")
    assert not failures, f"seed {seed}:\n" + "\n".join(failures)


def check_questions(client, folder, seed):
    every(folder, seed, lambda r, name, table, parquet: questions(client, r, name, table, parquet))


def check_what_is_put_comes_back(client, folder, seed):
    failures = []
    for kind in ("parquet", "arrow", "arrows"):
        for n in range(4):
            schema, batches = Tables(f"{seed} {kind} {n}", parquet=kind == "parquet").batches()
            try:
                put(client, f"put-{kind}", f"{folder}/put-{kind}", schema, batches)
            except Exception as e:
                failures.append(f"{kind} {n}: {type(e).__name__}: {str(e)[:1500]}")
    assert not failures, f"seed {seed}:\n" + "\n".join(failures)


def put(client, name, folder, schema, batches):
    table, parquet = pa.Table.from_batches(batches, schema), name.endswith("parquet")
    writer, reader = client.do_put(flight.FlightDescriptor.for_path(name), schema)
    try:
        for batch in batches:
            writer.write_batch(batch)
        writer.done_writing()
        while reader.read() is not None:
            pass
        writer.close()
    except pa.ArrowInvalid as e:
        assert "from Parquet" in str(e) or "as Parquet" in str(e), e  # it has no such type
        return
    try:
        if table.num_rows == 0:
            return  # there may be nothing in it
        expect(table, client.do_get(flight.Ticket(name.encode())).read_all(), parquet)
        files = [read(path) for path in sorted(glob.glob(f"{folder}/put-*"))]
        expect(table, pa.Table.from_batches([b for f in files for b in f.to_batches()], files[0].schema), parquet)
    finally:
        list(client.do_action(flight.Action("Delete", json.dumps({"dataset": name, "all": True}).encode())))
