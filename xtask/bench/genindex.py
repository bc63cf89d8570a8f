"""Queries from the general index of the Python documentation: each entry and the pages it leads to.

    genindex.py HTML OUT [EVERY]

HTML is the folder of Debian's `python3.11-doc`. OUT gets `docs/`, the pages without the indexes (they
hold the answers), and `queries.jsonl`. With EVERY only every so many-th page is kept, and the queries
that lead to it.
"""

import html.parser
import json
import pathlib
import shutil
import sys

ANSWERS = ("genindex", "py-modindex", "contents", "search", "objects.inv")


class Index(html.parser.HTMLParser):
    """Collects (entry, page), a child's entry after its parent's."""

    def __init__(self):
        super().__init__()
        self.open = []  # of each <li>: its words and the targets of its links
        self.link = None
        self.pairs = {}

    def handle_starttag(self, tag, attributes):
        if tag == "li":
            self.open.append({"words": "", "targets": []})
        elif tag == "a" and self.open:
            self.link = dict(attributes).get("href", "")
            self.open[-1]["targets"].append(self.link)
        elif tag == "ul" and self.open:
            self.close(self.open[-1])

    def handle_endtag(self, tag):
        if tag == "a":
            self.link = None
        elif tag == "li" and self.open:
            self.close(self.open[-1])
            self.open.pop()

    def handle_data(self, data):
        if self.open and not (self.link and data.strip().startswith("[")):
            self.open[-1]["words"] += data

    def close(self, item):
        words = [" ".join(one["words"].split()).strip(" ,") for one in self.open]
        entry = " ".join(word for word in words if word)
        for target in item["targets"]:
            page = target.split("#")[0]
            if entry and page and not page.startswith(ANSWERS):
                self.pairs.setdefault(entry, set()).add(page)
        item["targets"] = []


source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
every = int(sys.argv[3]) if len(sys.argv) > 3 else 1
pages = sorted(p.relative_to(source) for p in source.rglob("*.html") if not p.name.startswith(ANSWERS))
kept = {str(page) for page in pages[::every]}
for page in kept:
    (out / "docs" / page).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / page, out / "docs" / page)
index = Index()
index.feed((source / "genindex-all.html").read_text())
queries = []
for entry, found in sorted(index.pairs.items()):
    relevant = sorted(found & kept)
    if relevant:
        queries.append({"query": entry, "relevant": relevant})
(out / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
pairs = sum(len(query["relevant"]) for query in queries)
print(f"{len(kept)} pages, {len(queries)} entries, {pairs} pairs")
