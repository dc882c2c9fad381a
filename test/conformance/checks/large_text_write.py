"""Writes 2.2 GB of text in one column: large_text_write.py FOLDER"""
import sys

import pyarrow as pa
import pyarrow.parquet
from large_text import CHUNKS, values

folder = sys.argv[1]
# A row group of plain pages, which compression makes small.
pa.parquet.write_table(pa.table({"text": pa.chunked_array([values(i) for i in range(CHUNKS)])}), f"{folder}/text.parquet", use_dictionary=False, compression="zstd")
# One record batch, whose offsets need more than 32 bits.
large = [values(i).cast(pa.large_string()) for i in range(3)]
text = pa.concat_arrays([large[i % 3] for i in range(CHUNKS)])
assert text.nbytes > 1 << 31
with pa.OSFile(f"{folder}/text.arrow", "wb") as f, pa.ipc.new_file(f, pa.schema([("text", pa.large_string())])) as writer:
    writer.write_batch(pa.record_batch({"text": text}))
