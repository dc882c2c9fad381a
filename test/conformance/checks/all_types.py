"""Every file that types_write.py wrote arrives as pyarrow itself reads it."""
import glob
import os

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
from expect import equal, read


def expected(path):
    if path.endswith(".parquet"):
        return pa.parquet.read_table(path)
    with pa.OSFile(path) as f:
        return (pa.ipc.open_stream(f) if path.endswith(".arrows") else pa.ipc.open_file(f)).read_all()


def check_every_type_in_every_format(client, folder):
    failures = []
    paths = [p for p in sorted(glob.glob(f"{folder}/*.*")) if not p.endswith(".yaml")]
    for path in paths:
        name = os.path.basename(path).replace(".", "-")
        try:
            equal(read(client, name), expected(path))
        except Exception as e:  # all of them are told
            failures.append(f"{name}: {type(e).__name__}: {str(e)[:600]}")
    assert not failures, f"{len(failures)} of {len(paths)}:\n" + "\n".join(failures)
