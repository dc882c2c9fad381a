"""The quickstart serves, under each name, what pyarrow reads from the same bytes."""
import io
import json

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.dataset
import pyarrow.flight as flight
import pyarrow.ipc
import pyarrow.json
from expect import equal, raises, read

ROWS = {"birdstrikes": 10000, "flights": 200000, "iowa-electricity": 51, "monarchs": None, "penguins": 344, "seattle-weather": 1461}


def block(manifest, marker, indent):
    """The text of a block scalar of the manifest."""
    lines = open(manifest).read().split("\n")
    begin = next(i for i, line in enumerate(lines) if line.strip() == marker) + 1
    taken = []
    for line in lines[begin:]:
        if line.strip() and not line.startswith(" " * indent):
            break
        taken.append(line[indent:])
    return "\n".join(taken).encode()


def check_list_flights(client, data, manifest):
    infos = {info.descriptor.path[0].decode(): info for info in client.list_flights()}
    assert list(infos) == sorted(ROWS), list(infos)
    for name, rows in ROWS.items():
        if rows is not None:
            assert infos[name].total_records == rows, (name, infos[name].total_records)
        assert infos[name].total_bytes > 0
        assert infos[name].schema == client.get_schema(flight.FlightDescriptor.for_path(name)).schema


def check_list_flights_criteria(client, data, manifest):
    assert [i.descriptor.path[0] for i in client.list_flights(b"*s")] == [b"birdstrikes", b"flights", b"monarchs", b"penguins"]
    assert list(client.list_flights(b"none-*")) == []
    with raises(pa.ArrowInvalid, "[", "glob"):
        list(client.list_flights(b"["))


def check_get_flight_info(client, data, manifest):
    descriptor = flight.FlightDescriptor.for_path("flights")
    info = client.get_flight_info(descriptor)
    assert info.descriptor == descriptor
    assert (info.total_records, info.total_bytes) == (200000, 1600864)
    assert len(info.endpoints) == 1
    assert json.loads(info.app_metadata)["format"] == "ArrowFile"
    assert client.do_get(info.endpoints[0].ticket).read_all().num_rows == 200000


def check_arrow_file(client, data, manifest):
    equal(read(client, "flights"), pa.ipc.open_file(f"{data}/flights.arrow").read_all())


def check_parquet_glob(client, data, manifest):
    equal(read(client, "birdstrikes"), pa.dataset.dataset(f"{data}/birdstrikes", format="parquet").to_table())


def check_csv(client, data, manifest):
    equal(read(client, "seattle-weather"), pa.csv.read_csv(f"{data}/seattle-weather.csv"))


def check_json_array(client, data, manifest):
    lines = "\n".join(json.dumps(row) for row in json.load(open(f"{data}/penguins.json")))
    equal(read(client, "penguins"), pa.json.read_json(io.BytesIO(lines.encode())))


def check_csv_in_config_map(client, data, manifest):
    equal(read(client, "iowa-electricity"), pa.csv.read_csv(io.BytesIO(block(manifest, "iowa.csv: |", 4))))


def check_json_lines_inline(client, data, manifest):
    equal(read(client, "monarchs"), pa.json.read_json(io.BytesIO(block(manifest, "data: |", 10))))


def check_query(client, data, manifest):
    command = json.dumps({"dataset": "penguins", "columns": ["Species", "Body Mass (g)"], "filter": "row['Body Mass (g)'] > 6000 && Species != null", "limit": 10})
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command))
    (endpoint,) = info.endpoints
    assert [l.uri for l in endpoint.locations] == [b"arrow-flight-reuse-connection://?"], endpoint.locations
    got = client.do_get(endpoint.ticket).read_all()
    penguins = read(client, "penguins")
    want = penguins.filter(pa.compute.greater(penguins["Body Mass (g)"], 6000)).select(["Species", "Body Mass (g)"])
    equal(got, want)
    assert got.num_rows == 2 and info.schema.equals(got.schema), got


def check_endpoints_together_are_the_dataset(client, data, manifest):
    info = client.get_flight_info(flight.FlightDescriptor.for_path("flights"))
    assert info.ordered and info.total_records == 200000, info
    equal(pa.concat_tables(client.do_get(e.ticket).read_all() for e in info.endpoints), read(client, "flights"))


def check_subscription(client, data, manifest):
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_path("monarchs"))
    with writer:
        writer.write_metadata(b'{"acknowledged": 0}')
        batches = []
        for chunk in reader:
            notice = json.loads(chunk.app_metadata.to_pybytes())
            if chunk.data is not None:
                batches.append(chunk.data)
            writer.write_metadata(json.dumps({"acknowledged": notice["sequence"]}).encode())
            if notice.get("caughtUp"):
                break
        equal(pa.Table.from_batches(batches), read(client, "monarchs"))


def check_unknown_dataset(client, data, manifest):
    for call in (
        lambda: client.get_flight_info(flight.FlightDescriptor.for_path("flihgts")),
        lambda: client.get_schema(flight.FlightDescriptor.for_path("flihgts")),
        lambda: read(client, "flihgts"),
    ):
        with raises(pa.ArrowKeyError, '"flihgts"', 'did you mean "flights"?'):
            call()


def check_wrong_descriptors(client, data, manifest):
    with raises(pa.ArrowInvalid, "a", "b", "expected a path of one part"):
        client.get_flight_info(flight.FlightDescriptor.for_path("a", "b"))
    with raises(pa.ArrowInvalid, "SELECT 1", "expected a JSON object"):
        client.get_flight_info(flight.FlightDescriptor.for_command(b"SELECT 1"))


def check_long_name_is_refused_in_a_trailer(client, data, manifest):
    with raises(pa.ArrowKeyError, "xxx"):
        read(client, "x" * 100_000)


def check_list_actions(client, data, manifest):
    actions = {a.type: a.description for a in client.list_actions()}
    assert set(actions) == {
        "HealthCheck", "Status", "Refresh", "Delete", "CancelFlightInfo", "RenewFlightEndpoint", "SetSessionOptions", "GetSessionOptions", "CloseSession",
    }, actions
    assert all(actions.values())


def check_health_check(client, data, manifest):
    (result,) = client.do_action("HealthCheck")
    health = json.loads(result.body.to_pybytes())
    assert health["status"] == "SERVING" and health["activeStreams"] == 0 and health["configHash"], health
    flights = next(d for d in health["datasets"] if d["name"] == "flights")
    assert (flights["state"], flights["rows"], flights["files"]) == ("Ready", 200000, 1), flights


def check_status(client, data, manifest):
    assert len(list(client.do_action("Status"))) == len(ROWS)
    (result,) = client.do_action(flight.Action("Status", b"flights"))
    assert json.loads(result.body.to_pybytes())["state"] == "Ready"
    with raises(pa.ArrowKeyError, "flihgts"):
        list(client.do_action(flight.Action("Status", b"flihgts")))


def check_unknown_action(client, data, manifest):
    with raises(pa.ArrowInvalid, "Restart", "HealthCheck, Status, Refresh"):
        list(client.do_action("Restart"))


def check_what_is_read_only_refuses_puts(client, data, manifest):
    with raises(pa.ArrowInvalid, "flights is read-only", "access: Append"):  # of do_put or of close, as the answer comes
        writer, _ = client.do_put(flight.FlightDescriptor.for_path("flights"), pa.schema([("a", pa.int64())]))
        writer.close()


def check_cancel_ends_a_stream(client, data, manifest):
    reader = client.do_get(flight.Ticket(b"flights"))
    reader.read_chunk()
    reader.cancel()
    (result,) = client.do_action("HealthCheck")
    assert json.loads(result.body.to_pybytes())["status"] == "SERVING"
