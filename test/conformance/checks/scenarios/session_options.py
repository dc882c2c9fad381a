"""session_options: pyarrow has no such calls, nor keeps it cookies; the checks make the messages, and the middleware."""
import http.cookies

import pyarrow as pa
import pyarrow.flight as flight
from expect import raises
from protobuf import double, fields, message, sfixed64

INVALID_NAME, INVALID_VALUE = 1, 2
CLOSED = 1
STRING, BOOL, INT64, DOUBLE, LIST = 1, 2, 3, 4, 5


class Cookies(flight.ClientMiddlewareFactory):
    def __init__(self):
        self.kept = {}

    def start_call(self, info):
        return Cookie(self.kept)


class Cookie(flight.ClientMiddleware):
    def __init__(self, kept):
        self.kept = kept

    def sending_headers(self):
        return {"cookie": "; ".join(f"{name}={value}" for name, value in self.kept.items())} if self.kept else {}

    def received_headers(self, headers):
        for line in headers.get("set-cookie", []):
            for name, cookie in http.cookies.SimpleCookie(line).items():
                if cookie["max-age"] == "0":
                    self.kept.pop(name, None)
                else:
                    self.kept[name] = cookie.coded_value


def act(client, name, body=b""):
    (result,) = client.do_action((name, body))
    return fields(result.body.to_pybytes())


def entries(pairs):
    """A map of strings to messages, which is field 1 of the message."""
    assert all(number == 1 for number, _ in pairs), pairs
    entry = [dict(fields(value)) for _, value in pairs]
    return {e[1].decode(): fields(e.get(2, b"")) for e in entry}


def set_options(client, **options):
    return entries(act(client, "SetSessionOptions", b"".join(message((1, message((1, name), (2, value)))) for name, value in options.items())))


def get_options(client):
    return entries(act(client, "GetSessionOptions"))


def check_session(client, location):
    cookies = Cookies()
    words = ["a", "b", "sea", "dee", " ", "  ", "geee", "(づ｡◕‿‿◕｡)づ"]
    with flight.connect(location, middleware=[cookies]) as client:
        assert get_options(client) == {} and cookies.kept == {}
        errors = set_options(
            client,
            foolong=message((INT64, sfixed64(123))), bardouble=message((DOUBLE, double(456))), abool=message((BOOL, True)),
            lol_invalid=message((STRING, "this won't get set")), key_with_invalid_value=message((STRING, "lol_invalid")),
            big_ol_string_list=message((LIST, message(*((1, word) for word in words)))),
        )
        assert errors == {"lol_invalid": [(1, INVALID_NAME)], "key_with_invalid_value": [(1, INVALID_VALUE)]}, errors
        assert list(cookies.kept) == ["arrow_flight_session_id"], cookies.kept
        got = get_options(client)
        (number, listed), = got.pop("big_ol_string_list")
        assert number == LIST and [word.decode() for _, word in fields(listed)] == words
        assert got == {"foolong": [(INT64, sfixed64(123))], "bardouble": [(DOUBLE, double(456))], "abool": [(BOOL, 1)]}, got

        assert set_options(client, foolong=b"") == {}
        assert sorted(get_options(client)) == ["abool", "bardouble", "big_ol_string_list"]

        assert act(client, "CloseSession") == [(1, CLOSED)]
        assert cookies.kept == {}
        assert get_options(client) == {}
        with raises(pa.ArrowKeyError, "no session"):
            act(client, "CloseSession")


def check_a_broken_cookie_is_no_session(client, location):
    for value in ("", "AAAA", "%", '"', "x" * 5000):
        options = flight.FlightCallOptions(headers=[(b"cookie", f"arrow_flight_session_id={value}".encode())])
        (result,) = client.do_action(("GetSessionOptions", b""), options)
        assert result.body.to_pybytes() == b"", (value, result.body)
