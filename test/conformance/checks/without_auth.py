"""A handshake with a server that asks nobody who they are."""
import pyarrow as pa
import pyarrow.flight as flight
from auth import by_proto
from expect import raises, read

REFUSAL = "this server takes no names and passwords: call it without a handshake"


def check_authenticate(client):
    with raises(pa.ArrowNotImplementedError, REFUSAL):
        client.authenticate(by_proto("user", "password"))
    assert read(client, "notes").num_rows == 1


def check_authenticate_basic_token(client):
    with raises(pa.ArrowNotImplementedError, REFUSAL):
        client.authenticate_basic_token("user", "password")
    assert read(client, "notes").num_rows == 1
