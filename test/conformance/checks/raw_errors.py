"""The gRPC codes and trailers that errors become: raw_errors.py LOCATION MESSAGE EXTRA_INFO_IN_HEX"""
import grpc
from errors import ARROW, FLIGHT
from raw import call, tagged

CODES = {
    "server": "UNKNOWN", "internal": "INTERNAL", "timed out": "DEADLINE_EXCEEDED", "cancelled": "CANCELLED", "unauthenticated": "UNAUTHENTICATED",
    "unauthorized": "PERMISSION_DENIED", "unavailable": "UNAVAILABLE", "invalid": "INVALID_ARGUMENT", "not found": "NOT_FOUND", "already exists": "ALREADY_EXISTS",
    "not implemented": "UNIMPLEMENTED", "over a limit": "RESOURCE_EXHAUSTED", "wrong state": "FAILED_PRECONDITION",
}


def failed(location, method, kind, request, metadata=()):
    try:
        call(location, method, kind, request, metadata)
    except grpc.RpcError as e:
        return e
    raise AssertionError(f"{method} went well")


def descriptor(command):
    return b"\x08\x02" + tagged(2, command.encode())  # type CMD


def check_codes(client, location, message, info):
    assert set(CODES) == set(FLIGHT | ARROW)
    for kind, code in CODES.items():
        for method, how, request in (("GetSchema", "unary_unary", descriptor(kind)), ("DoGet", "unary_stream", tagged(1, kind.encode()))):
            e = failed(location, method, how, request)
            assert e.code().name == code and e.details() == message, e
            assert not e.trailing_metadata(), e.trailing_metadata()


def check_extra_info_trailers(client, location, message, info):
    for kind, code in CODES.items():
        e = failed(location, "GetSchema", "unary_unary", descriptor(kind + "+info"))
        assert e.code().name == code and e.details() == message, e
        trailers = dict(e.trailing_metadata())
        if kind in FLIGHT:
            assert int(trailers.pop("x-arrow-status")) > 0
            assert trailers == {"grpc-status-details-bin": bytes.fromhex(info)}, trailers
        else:
            assert trailers == {"x-flight-extra-info-bin": bytes.fromhex(info)}, trailers
