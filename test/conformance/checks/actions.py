"""DoAction and ListActions."""
import pyarrow as pa
import pyarrow.flight as flight
from expect import raises


def run(client, *action, **kwargs):
    return [r.body.to_pybytes() for r in client.do_action(*action, **kwargs)]


def check_list_actions(client):
    assert client.list_actions() == [
        flight.ActionType("three", "answers three times"),
        flight.ActionType("echo", ""),
        flight.ActionType("append", "counts how often it was called, and answers nothing"),
    ]


def check_action_by_name(client):
    assert run(client, "three") == [b"eins", b"twee", b"trois"]


def check_action_by_tuple(client):
    assert run(client, ("echo", b"\x00body\xff")) == [b"\x00body\xff"]


def check_action_without_body(client):
    assert run(client, flight.Action("echo", b"")) == [b""]


def check_action_runs_though_nobody_reads_its_results(client):
    before = int(run(client, "appended")[0])
    client.do_action("append")
    assert int(run(client, "appended")[0]) == before + 1


def check_results_that_never_end_may_be_dropped(client):
    results = client.do_action("forever")
    assert next(results).body.to_pybytes() == b"tick"
    del results


def check_timeout(client):
    with raises(flight.FlightTimedOutError):
        run(client, "wait", options=flight.FlightCallOptions(timeout=0.2))


def check_error_of_the_services_own(client):
    with raises(flight.FlightInternalError, "the tide tables have run out"):
        run(client, "own error")


def check_server_error(client):
    with raises(flight.FlightServerError, "the tide tables have run out"):
        run(client, "server error")


def check_panic_keeps_its_secret(client):
    try:
        run(client, "panic")
    except flight.FlightInternalError as e:
        assert "secret" not in str(e), e
    else:
        raise AssertionError("the panic answered")


def check_unknown_action(client):
    with raises(pa.ArrowNotImplementedError, '"scuttle"'):
        run(client, "scuttle")
