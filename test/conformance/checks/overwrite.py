"""Overwriting and deleting, where the dataset's access allows it: "trips" has ReadWrite, "log" Append, "notes" neither."""
import json

import pyarrow as pa
import pyarrow.flight as flight
from expect import equal, raises, read

REFUSAL = "whoever runs this server can let clients overwrite and delete it, with access: ReadWrite"


def put(client, table, **command):
    """Puts a table in batches of two rows, and gives the answers."""
    writer, reader = client.do_put(flight.FlightDescriptor.for_command(json.dumps(command)), table.schema)
    for batch in table.to_batches(max_chunksize=2):
        writer.write_batch(batch)
    writer.done_writing()
    answers = []
    while (answer := reader.read()) is not None:
        answers.append(json.loads(answer.to_pybytes()))
    writer.close()
    return answers


def delete(client, **body):
    (result,) = client.do_action(flight.Action("Delete", json.dumps(body).encode()))
    return json.loads(result.body.to_pybytes())


def table(*numbers):
    return pa.table({"n": pa.array(numbers, pa.int64()), "s": pa.array([f"é{n}" for n in numbers]).dictionary_encode()})


def check_overwrite(client):
    before = {answer["file"] for answer in put(client, table(1, 2, 3), dataset="trips")}
    (answer,) = put(client, table(4, 5, 6, 7), dataset="trips", mode="overwrite", rows=4)
    assert (answer["batches"], answer["rows"], answer["removed"]) == (2, 4, len(before)), answer
    equal(read(client, "trips").combine_chunks().unify_dictionaries(), table(4, 5, 6, 7))


def check_overwrite_once(client):
    assert "already" not in put(client, table(1), dataset="trips", mode="overwrite", id="load-1")[0]
    put(client, table(2), dataset="trips")
    (answer,) = put(client, table(1), dataset="trips", mode="overwrite", id="load-1")
    assert answer["already"] and answer["removed"] == 0, answer
    assert sorted(read(client, "trips")["n"].to_pylist()) == [1, 2]


def check_what_fails_changes_nothing(client):
    put(client, table(1, 2), dataset="trips", mode="overwrite")
    with raises(pa.ArrowInvalid, "2 rows came, and the command announced 3", "nothing was changed"):
        put(client, table(8, 9), dataset="trips", mode="overwrite", rows=3)
    with raises(pa.ArrowInvalid, "the dataset's columns"):
        put(client, pa.table({"other": [1]}), dataset="trips", mode="overwrite")
    with raises(pa.ArrowInvalid, '"truncate"', '"append" or "overwrite"'):
        put(client, table(8), dataset="trips", mode="truncate")
    assert read(client, "trips")["n"].to_pylist() == [1, 2]


def check_a_reader_in_the_middle(client):
    many = pa.table({"n": pa.array(range(3_000_000), pa.int64())})
    writer, _ = client.do_put(flight.FlightDescriptor.for_command(b'{"dataset": "numbers", "mode": "overwrite"}'), many.schema)
    with writer:
        writer.write_table(many, max_chunksize=100_000)
    reader = client.do_get(flight.Ticket(b"numbers"))
    rows = reader.read_chunk().data.num_rows
    put(client, many.slice(0, 1), dataset="numbers", mode="overwrite")
    assert read(client, "numbers").num_rows == 1
    assert rows + sum(chunk.data.num_rows for chunk in reader) == 3_000_000


def check_delete(client):
    put(client, table(1), dataset="trips", mode="overwrite")
    (first,) = put(client, table(2), dataset="trips")
    assert delete(client, dataset="trips", files=[first["file"], "in/put-gone.parquet"]) == {"dataset": "trips", "files": [first["file"]]}
    assert delete(client, dataset="trips", files=[first["file"]])["files"] == []
    assert read(client, "trips")["n"].to_pylist() == [1]
    with raises(pa.ArrowInvalid, '"../trips.parquet" is no file of', "nothing was deleted"):
        delete(client, dataset="trips", files=["../trips.parquet"])
    with raises(pa.ArrowInvalid, "expected JSON such as"):
        delete(client, dataset="trips")
    assert len(delete(client, dataset="trips", all=True)["files"]) == 1
    put(client, pa.table({"other": ["columns"]}), dataset="trips")
    assert read(client, "trips").to_pydict() == {"other": ["columns"]}
    delete(client, dataset="trips", all=True)


def check_refusals(client):
    for name, why in ("notes", "is read-only"), ("log", "takes more batches and keeps all that it has"):
        with raises(pa.ArrowInvalid, f"dataset {name} {why}", REFUSAL):
            put(client, table(1), dataset=name, mode="overwrite")
        with raises(pa.ArrowInvalid, f"dataset {name} {why}", REFUSAL):
            delete(client, dataset=name, all=True)


def check_list_actions(client):
    (described,) = [a.description for a in client.list_actions() if a.type == "Delete"]
    assert "access: ReadWrite" in described and '"files"' in described, described
