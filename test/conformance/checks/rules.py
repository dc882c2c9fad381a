"""Rights: what callers see of the same table. As a program, rules.py FOLDER writes the tables."""
import json
import sys

import pyarrow as pa
import pyarrow.flight as flight
from expect import raises

ROWS = 1000


def staff():
    """Every hidden text has SECRET in it: the rows of team blue for rows, and of all others for cells."""
    teams = ["red", "blue", "green", None]
    rows = range(ROWS)

    def text(prefix, i):
        return None if i % 7 == 0 else f"{prefix} SECRET of {teams[i % 4]}, number {i % 50}"

    return pa.table({
        "id": pa.array(rows, pa.int64()),
        "name": pa.array([f"name {i}" for i in rows]),
        "team": pa.array([teams[i % 4] for i in rows]),
        "note": pa.array([text("note", i) for i in rows]),
        "coded": pa.array([text("coded", i) for i in rows]).dictionary_encode(),
        "tags": pa.array([[text("tag", i), "x"] for i in rows]),
        "views": pa.array([[text("view", i)] for i in rows], pa.list_view(pa.string())),
        "long": pa.array([text("long", i) for i in rows], pa.string_view()),
        "record": pa.array([{"a": text("a", i), "b": i} for i in rows]),
        "map": pa.array([[("key", text("value", i))] for i in rows], pa.map_(pa.string(), pa.string())),
    }).replace_schema_metadata({"pandas": json.dumps({"columns": ["note"], "stop": ROWS})})


def options(user):
    return flight.FlightCallOptions(headers=[(b"x-user", user.encode())])


def table(client, user, **query):
    info = client.get_flight_info(command(**query), options(user))
    got = client.do_get(info.endpoints[0].ticket, options(user)).read_all()
    got.validate(full=True)
    assert info.schema == got.schema, f"the FlightInfo has {info.schema}, the answer {got.schema}"
    assert client.get_schema(command(**query), options(user)).schema == got.schema
    return info, got


def command(**query):
    return flight.FlightDescriptor.for_command(json.dumps({"dataset": "staff", **query}))


def everything(got):
    """All bytes of a table: of values, children, dictionaries, and what views view."""
    for column in got.columns:
        for chunk in column.chunks:
            yield from (b.to_pybytes() for b in chunk.buffers() if b is not None)
            if pa.types.is_dictionary(chunk.type):
                yield from (b.to_pybytes() for b in chunk.dictionary.buffers() if b is not None)


def secrets(got):
    """The teams whose texts are anywhere in a table."""
    return {team for team in ["red", "blue", "green", "None"] for b in everything(got) if f"SECRET of {team}".encode() in b}


def check_whole_table(client):
    info, got = table(client, "all")
    assert got.equals(staff()) and got.schema.equals(staff().schema, check_metadata=True)
    assert (info.total_records, info.total_bytes > 0) == (ROWS, True), info
    assert secrets(got) == {"red", "blue", "green", "None"}, "this test finds nothing"


def check_columns_hidden_from_schema(client):
    info, got = table(client, "columns")
    assert got.schema.names == ["id", "team"] and got.schema.metadata is None, got.schema
    assert got.equals(staff().select(["id", "team"]).replace_schema_metadata())
    assert (info.total_records, info.total_bytes) == (ROWS, -1), info
    with raises(pa.ArrowInvalid, 'there is no column "note"', "id, team"):
        client.get_flight_info(command(filter="note == 'a'"), options("columns"))
    (listed,) = client.list_flights(b"", options("columns"))
    assert listed.schema.names == ["id", "team"] and listed.total_bytes == -1, listed


def check_rows_narrowed(client):
    info, got = table(client, "rows")
    assert got.to_pylist() == [row for row in staff().to_pylist() if row["team"] == "red"]
    assert secrets(got) == {"red"}, secrets(got)
    assert (info.total_records, info.total_bytes, len(info.endpoints)) == (-1, -1, 1), info
    _, none = table(client, "rows", filter="team == 'blue' || team == null")
    assert none.num_rows == 0


def check_masked_values_are_null(client):
    info, got = table(client, "cells")
    visible = {"id", "name"}
    want = [row if row["team"] == "blue" else {k: v if k in visible else None for k, v in row.items()} for row in staff().to_pylist()]
    assert got.to_pylist() == want
    assert secrets(got) == {"blue"}, secrets(got)
    assert (info.total_records, info.total_bytes) == (ROWS, -1), info
    assert all(got.schema.field(name).nullable for name in got.schema.names)
    _, some = table(client, "cells", filter="team == null && note == null", columns=["id", "coded"])
    hidden = [i for i in range(ROWS) if i % 4 != 1]
    assert some["id"].to_pylist() == hidden and some["coded"].null_count == len(hidden)


def check_listed_alone(client):
    (info,) = client.list_flights(b"", options("lister"))
    assert info.descriptor.path == [b"staff"] and info.schema is None and info.endpoints == [], info
    assert (info.total_records, info.total_bytes) == (-1, -1), info
    with raises(flight.FlightUnauthorizedError, "you may not get dataset"):
        client.get_flight_info(command(), options("lister"))
    assert list(client.list_flights(b"", options("rows"))) == []


def check_forbidden_is_as_missing(client):
    for user in ["all", "columns", "nobody"]:
        for ask in [
            lambda name: client.get_flight_info(flight.FlightDescriptor.for_path(name), options(user)),
            lambda name: client.get_schema(flight.FlightDescriptor.for_path(name), options(user)),
            lambda name: client.do_get(flight.Ticket(name.encode()), options(user)).read_all(),
            lambda name: list(client.do_action(("Delete", json.dumps({"dataset": name, "all": True}).encode()), options(user))),
        ]:
            said = []
            for name in ["secret", "sekret"]:
                try:
                    ask(name)
                    raise AssertionError(f"{user} gets {name}")
                except (pa.ArrowException, KeyError, OSError) as e:
                    said.append((type(e), str(e).replace("sekret", "secret")))
            assert said[0] == said[1], said


def check_tickets_are_no_rights(client):
    info = client.get_flight_info(command(), options("all"))
    with raises(flight.FlightUnauthorizedError, "given to somebody else"):
        client.do_get(info.endpoints[0].ticket, options("columns")).read_all()


if __name__ == "__main__":
    for name in ["staff", "secret"]:
        with pa.OSFile(f"{sys.argv[1]}/{name}.arrow", "wb") as f, pa.ipc.new_file(f, staff().schema) as w:
            w.write_table(staff(), max_chunksize=300)
