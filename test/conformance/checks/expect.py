"""What the checks have in common."""
import contextlib

import pyarrow.flight as flight


def read(client, name):
    return client.do_get(flight.Ticket(name.encode())).read_all()


def equal(got, expected):
    """Tables are equal in schema, metadata included, and in values."""
    assert got.schema.equals(expected.schema, check_metadata=True), f"expected schema\n{expected.schema}\ngot\n{got.schema}"
    got.validate(full=True)
    assert got.equals(expected), f"expected\n{expected.slice(0, 20)}\ngot\n{got.slice(0, 20)}"


@contextlib.contextmanager
def raises(error, *texts):
    """The block raises exactly this class, with each of the texts in the message."""
    try:
        yield
    except error as e:
        assert type(e) is error, f"expected {error}, got {type(e)}: {e}"
        for text in texts:
            assert text in str(e), f"expected {text!r} in {e}"
        return
    raise AssertionError(f"expected {error}")
