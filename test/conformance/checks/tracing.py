"""The trace context of W3C goes to the server."""
import json

import pyarrow.flight as flight

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def traced(client, *headers):
    (result,) = client.do_action("trace", flight.FlightCallOptions(headers=list(headers)))
    return json.loads(result.body.to_pybytes())


def check_trace_context(client):
    assert traced(client, (b"traceparent", PARENT), (b"tracestate", b"vendor=1")) == {"traceparent": PARENT.decode(), "tracestate": "vendor=1"}


def check_trace_context_without_state(client):
    assert traced(client, (b"traceparent", PARENT), (b"tracestate", b""))["traceparent"] == PARENT.decode()


def check_no_trace_context(client):
    assert traced(client) == {}


def check_trace_context_that_is_none(client):
    assert traced(client, (b"traceparent", b"00-not-a-trace")) == {}
