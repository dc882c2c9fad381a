"""The tables that package flightserver serves."""
import pyarrow as pa

DEPTHS = pa.table({"depth": pa.array([3, 1, -4, 1, -5], pa.int64())})
TIDES = pa.table({"harbour": ["Delfzijl", "Hoek van Holland", "Vlissingen"], "level": pa.array([142, 88, 201], pa.int64())})

# The second chunk shares the first one's dictionary, the third's is longer.
_short, _long = pa.array(["calm", "breeze", "gale"]), pa.array(["calm", "breeze", "gale", "storm"])
WINDS = pa.table({"wind": pa.chunked_array([
    pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), dictionary)
    for indices, dictionary in (([2, 0, None], _short), ([1, 1], _short), ([3, 0], _long))
])})
