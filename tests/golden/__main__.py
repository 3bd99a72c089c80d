"""`python -m tests.golden write [WORD …]`: record what this tree computes, of the names that hold
a word; without words all, where the files, which only version 1 could write, stay as they are and
only what they go on to is recorded."""

import json
import sys
import tempfile

from tests.golden import FILES, HERE, arithmetic, gone_on, load, ran, searched, searches


def _write(name, content):
    text = json.dumps({"arithmetic": arithmetic(), **content}, indent=0)
    (HERE / name).write_text(text + "\n", encoding="utf-8")


def main(words):
    path = HERE / "searches.json"
    kept = json.loads(path.read_text())["searches"] if words and path.is_file() else {}
    for name, arguments in searches().items():
        if not words or any(word in name for word in words):
            kept[name] = searched(*arguments)
    _write("searches.json", {"searches": kept})
    if not words:
        with tempfile.TemporaryDirectory() as folder:
            _write("run.json", {"run": ran(folder)})
        files = {name: gone_on(name, load(name, HERE / f"{name}.ckpt")) for name in FILES}
        _write("files.json", {"files": files})


if __name__ == "__main__":
    if sys.argv[1:2] != ["write"]:
        sys.exit(__doc__)
    main(sys.argv[2:])
