"""Each kind of error arrives as its class, with its message and extra info, from each RPC: errors.py LOCATION MESSAGE EXTRA_INFO_IN_HEX"""
import threading

import pyarrow as pa
import pyarrow.flight as flight
from tables import DEPTHS

# Kinds of flightruntime.ErrorKind.
FLIGHT = {
    "server": flight.FlightServerError,
    "internal": flight.FlightInternalError,
    "timed out": flight.FlightTimedOutError,
    "cancelled": flight.FlightCancelledError,
    "unauthenticated": flight.FlightUnauthenticatedError,
    "unauthorized": flight.FlightUnauthorizedError,
    "unavailable": flight.FlightUnavailableError,
}
ARROW = {
    "invalid": pa.ArrowInvalid,
    "not found": pa.ArrowKeyError,
    "already exists": pa.ArrowException,
    "not implemented": pa.ArrowNotImplementedError,
    "over a limit": pa.ArrowInvalid,
    "wrong state": pa.ArrowInvalid,
}


def do_action(client, kind):
    list(client.do_action(flight.Action(kind, b"")))


def do_get(client, kind):
    client.do_get(flight.Ticket(kind.encode())).read_all()


def do_get_late(client, kind):
    reader = client.do_get(flight.Ticket(b"late " + kind.encode()))
    assert reader.read_chunk().data.num_rows == DEPTHS.num_rows
    reader.read_chunk()


def get_flight_info(client, kind):
    client.get_flight_info(flight.FlightDescriptor.for_command(kind))


def get_schema(client, kind):
    client.get_schema(flight.FlightDescriptor.for_command(kind))


def list_flights(client, kind):
    list(client.list_flights(kind.encode()))


def list_actions(client, kind):
    list(client.list_actions(flight.FlightCallOptions(headers=[(b"x-error", kind.encode())])))


def do_put_with_data(client, kind):
    writer, _ = client.do_put(flight.FlightDescriptor.for_command(kind), DEPTHS.schema)
    writer.write_table(DEPTHS)
    writer.close()


def do_put_without_data(client, kind):
    writer, _ = client.do_put(flight.FlightDescriptor.for_command(kind), DEPTHS.schema)
    writer.close()


def do_exchange(client, kind):
    writer, _ = client.do_exchange(flight.FlightDescriptor.for_command(kind))
    writer.begin(DEPTHS.schema)
    writer.close()


def do_exchange_read(client, kind):
    _, reader = client.do_exchange(flight.FlightDescriptor.for_command(kind))
    reader.read_chunk()


CALLS = do_action, do_get, do_get_late, get_flight_info, list_flights, list_actions, do_put_with_data, do_put_without_data, do_exchange, do_exchange_read


def caught(call, client, kind):
    try:
        call(client, kind)
    except KeyboardInterrupt as e:  # where Ctrl-C could end a call, pyarrow takes a cancelled one for that
        return e.__context__
    except Exception as e:
        return e
    raise AssertionError(f"{call.__name__} of {kind} went well")


def every(client, classes, message, options=""):
    """Calls each RPC for each kind, and yields the errors."""
    for kind, error in classes.items():
        for call in CALLS:
            e = caught(call, client, kind + options)
            assert type(e) is error, f"{call.__name__} of {kind}: expected {error}, got {type(e)}: {e}"
            assert message in str(e), f"{call.__name__} of {kind}: {e}"
            yield call, kind, e


def check_flight_errors(client, message, info):
    for call, kind, e in every(client, FLIGHT, message):
        assert e.extra_info == b"", f"{call.__name__} of {kind}: {e.extra_info}"


def check_arrow_errors(client, message, info):
    for call, kind, e in every(client, ARROW, message):
        assert isinstance(e, KeyError) == (kind == "not found") and isinstance(e, NotImplementedError) == (kind == "not implemented")


def check_flight_errors_with_extra_info(client, message, info):
    for call, kind, e in every(client, FLIGHT, message, "+info"):
        assert e.extra_info == bytes.fromhex(info), f"{call.__name__} of {kind}: {e.extra_info}"


def check_arrow_errors_with_extra_info(client, message, info):
    """pyarrow has no place for it; the class is the same all the same."""
    assert list(every(client, ARROW, message, "+info"))


def check_wrapped_errors(client, message, info):
    for _, _, e in every(client, FLIGHT | ARROW, message, "+wrapped"):
        assert "on the way to Harlingen" in str(e), e


def check_wrapped_errors_with_extra_info(client, message, info):
    for call, kind, e in every(client, FLIGHT, message, "+info+wrapped"):
        assert "on the way to Harlingen" in str(e), e
        assert e.extra_info == bytes.fromhex(info), f"{call.__name__} of {kind}: {e.extra_info}"


def check_get_schema(client, message, info):
    """Here pyarrow 26 loses the classes of Flight, whose kind the text still tells; raw_errors.py has the codes."""
    for kind, error in FLIGHT.items():
        e = caught(get_schema, client, kind)
        assert isinstance(e, (OSError, pa.ArrowException)) and message in str(e) and "Detail: " in str(e), f"{kind}: {type(e)}: {e}"
    for kind, error in ARROW.items():
        e = caught(get_schema, client, kind)
        assert type(e) is error and message in str(e), f"{kind}: {type(e)}: {e}"


def check_write_error_keeps_extra_info(client, message, info):
    """The error is the same from the call that writes, and from close, while another thread reads."""
    def drain(read):
        try:
            while True:
                read()
        except flight.FlightError:
            pass

    def fails(call):
        try:
            call()
        except flight.FlightCancelledError as e:
            assert message in str(e) and e.extra_info == bytes.fromhex(info), (e, e.extra_info)
        else:
            raise AssertionError("writing went well")

    def for_ever(write):
        while True:
            write()

    descriptor, schema = flight.FlightDescriptor.for_command("cancelled+info"), DEPTHS.schema
    writer, answers = client.do_put(descriptor, schema)
    thread = threading.Thread(target=drain, args=[answers.read])
    thread.start()
    fails(lambda: for_ever(lambda: writer.write_table(DEPTHS)))
    fails(writer.close)
    thread.join()

    writer, reader = client.do_exchange(descriptor)
    thread = threading.Thread(target=drain, args=[reader.read_chunk])
    thread.start()
    fails(lambda: for_ever(lambda: writer.write_metadata(b"x")))
    fails(writer.close)
    thread.join()
