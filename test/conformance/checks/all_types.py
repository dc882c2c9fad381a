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


# What arrives with the same values under a neighbouring type, and why.
NEIGHBOURS = {
    "maps.parquet": "arrow-go calls the entries of every map \"entries\", as they were when they were written; pyarrow, when it reads Parquet, by the column",
}


def check_every_type_in_every_format(client, folder):
    failures = []
    paths = [p for p in sorted(glob.glob(f"{folder}/*.*")) if not p.endswith(".yaml")]
    for path in paths:
        name = os.path.basename(path).replace(".", "-")
        try:
            got, want = read(client, name), expected(path)
            if os.path.basename(path) in NEIGHBOURS:
                assert not got.schema.equals(want.schema, check_metadata=True), "it is equal now: take it off the list"
                got = got.cast(want.schema)
            equal(got, want)
        except Exception as e:  # all of them are told
            failures.append(f"{name}: {type(e).__name__}: {str(e)[:600]}")
    assert not failures, f"{len(failures)} of {len(paths)}:\n" + "\n".join(failures)
