"""expiration_time:do_get: an endpoint is read once, or many times until it expires."""
import pyarrow as pa
from expect import raises
from scenarios.expiration_time import endpoints


def check_do_get(client, location):
    _, (once, *many) = endpoints(client)
    for _ in range(2):
        assert [client.do_get(e.ticket).read_all().to_pydict() for e in many] == [{"number": [1]}, {"number": [2]}]
    assert client.do_get(once.ticket).read_all().schema == pa.schema([("number", pa.uint32())])
    with raises(pa.ArrowInvalid, "can't read multiple times"):
        client.do_get(once.ticket).read_all()
