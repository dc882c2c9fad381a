"""How messages are encoded, seen from below pyarrow: encoded.py LOCATION VERSION CODEC"""
import pyarrow as pa
from raw import flight_data, messages


def check_metadata_version(client, location, version, codec):
    found = {message.metadata_version for message in messages(flight_data(location, b"winds"))}
    assert found == {getattr(pa.MetadataVersion, version)}, found


def check_codec(client, location, version, codec):
    """Of a compressed body each buffer begins with its length, so that it differs from a plain one even where compression gains nothing."""
    *_, batch = messages(flight_data(location, b"depths"))
    plain = 5 * 8  # bytes of the depths
    assert batch.type == "record batch" and (batch.body.size == plain) == (codec == "none"), batch.body.size
