"""The Refresh action."""
import json

import pyarrow as pa
import pyarrow.flight as flight
from expect import raises, read


def check_refresh_one(client):
    (result,) = client.do_action(flight.Action("Refresh", b"asked"))
    assert json.loads(result.body.to_pybytes())["rows"] == 3
    assert read(client, "asked").to_pydict() == {"a": [1, 2, 3]}


def check_refresh_all(client):
    assert len(list(client.do_action("Refresh"))) == 2


def check_refresh_unknown(client):
    with raises(pa.ArrowKeyError, "nothing"):
        list(client.do_action(flight.Action("Refresh", b"nothing")))
