"""LanceDB on the passages that our benchmark kept: full text, vectors (flat) and both with RRF."""

import hashlib
import json
import os
import pathlib
import resource
import sys
import time

import lancedb
import numpy
import pyarrow
from lancedb.index import FTS
from lancedb.rerankers import RRFReranker

home = pathlib.Path(sys.argv[1])
DIMENSION = 384


def passages():
    for path in sorted((home / "docs").iterdir()):
        for part in path.read_text().split("# Part ")[1:]:
            number, text = part.split("\n\n", 1)
            yield f"Part {number}\n{text.strip()}"


texts = list(passages())
draw = numpy.random.default_rng(7)
vectors = draw.random((len(texts), DIMENSION), dtype=numpy.float32) - 0.5
vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
table = pyarrow.table(
    {
        "id": [hashlib.sha256(text.encode()).hexdigest() for text in texts],
        "text": texts,
        "vector": pyarrow.FixedSizeListArray.from_arrays(vectors.reshape(-1), DIMENSION),
    }
)
folder = home / "lance"
database = lancedb.connect(folder)
began = time.perf_counter()
stored = database.create_table("passages", table, mode="overwrite")
stored.create_index("text", config=FTS())
built = time.perf_counter() - began
del table, vectors
size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
print(f"\nLanceDB {lancedb.__version__}, {len(texts)} passages: built in {built:.1f} s; "
      f"{size / len(texts):.0f} bytes a passage on disk")
questions = [json.loads(line) for line in (home / "questions.jsonl").read_text().splitlines()]
reranker = RRFReranker()
ways = {
    "fts": lambda q: stored.search(q["text"], query_type="fts").limit(10).to_list(),
    "vector, flat": lambda q: stored.search(numpy.array(q["vector"], dtype=numpy.float32)).limit(10).to_list(),
    "hybrid": lambda q: stored.search(query_type="hybrid")
    .vector(numpy.array(q["vector"], dtype=numpy.float32))
    .text(q["text"])
    .rerank(reranker)
    .limit(10)
    .to_list(),
}
for name, ask in ways.items():
    for question in questions[:10]:
        ask(question)
    took = []
    for question in questions:
        began = time.perf_counter()
        ask(question)
        took.append((time.perf_counter() - began) * 1e3)
    took.sort()
    print(f"  {name:<18} p50 {took[len(took) // 2]:>7.2f} ms  p99 {took[int(len(took) * 0.99)]:>7.2f} ms")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"  peak resident {peak:.0f} MB ({os.cpu_count()} cores)")
