"""YAML is read within bounds, and what is honest is read as it always was."""

import datetime
import time

import pytest
import yaml

from structes.files import yaml_text
from structes.files.yaml_text import MOST, check_fits, read_yaml
from structes.runs.config import load_config
from structes.runs.experiment import experiment_from


def grown(n, line):
    """n lines, each of which says the one before several times."""
    return "".join(line.format(i=i, b=i - 1) + "\n" for i in range(1, n))


N = 200_000
TOO_MUCH = {
    "lists": "a0: &a0 [x, x]\n" + grown(10, "a{i}: &a{i} [" + ",".join(["*a{b}"] * 10) + "]"),
    "mappings": "a0: &a0 {x: 1}\n" + grown(40, "a{i}: &a{i} {{p: *a{b}, q: *a{b}}}"),
    "merged": "a0: &a0 {x: 1}\n" + grown(40, "a{i}: &a{i} {{<<: [*a{b}, *a{b}], k{i}: 1}}"),
    "merged wide": "a0: &a0 {x: 1}\n"
    + grown(9, "a{i}: &a{i} {{<<: [" + ",".join(["*a{b}"] * 10) + "]}}"),
    "itself": "a: &a [*a]",
    "itself, a mapping": "&a {x: *a}",
    "itself, a key": "a: &a {? *a : 1}",
    "itself, merged": "a: &a {<<: *a}",
    "deep lists": "[" * N,
    "deep blocks": "- " * N,
    "deep mappings": "{a: " * N,
    "deep keys": "? " * N,
    "deep, closed": "[" * 70 + "]" * 70,
    "deep, indented": "\n".join(" " * i + "a:" for i in range(300)),
    "digits": "a: " + "1" * N,
    "decimals": "a: 1." + "1" * N,
    "base 60": "a: 1" + ":1" * N,
    "base 60, a tag": 'a: !!int "1' + ":1" * N + '"',
    "base 60, a fraction": "a: 1" + ":1" * N + ".5",
    "base 60, a large fraction": "a: 1" + ":1" * 180 + ".5",
    "base 2": "a: 0b" + "1" * N,
    "date": "a: 2001-01-01T00:00:00." + "1" * N,
    "no date": "a: 2001-99-99",
    "too many": "a: [" + "1," * MOST + "]",
    "too many keys": "".join(f"k{i}: 1\n" for i in range(MOST // 2 + 1)),
    "directives": "".join(f"%TAG !a{i}! x\n" for i in range(N // 10)) + "--- a",
    "directives, \\r": "".join(f"%TAG !a{i}! x\r" for i in range(N // 10)) + "--- a",
    "long": "a: " + "x" * yaml_text.LARGEST,
    "python": "!!python/object/apply:os.system [x]",
    "no bool": "a: !!bool x",
    "no int": 'a: !!int ""',
    "no timestamp": "a: !!timestamp x",
    "no text": "a: \udcff",
    "half a character": 'a: "\\ud800" ' * 10_000,
    "a list as a key": "[a]: 1",
    "twice": "a: 1\nb: 2\na: 3\n",
    "twice, deep": "- {x: {a: 1, a: 2}}",
    "nul": "a: \0",
}


@pytest.mark.parametrize("reader", ["C", "Python"])
@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_stands_for_too_much_is_a_clear_line_soon(name, reader, monkeypatch):
    if reader == "Python":
        if name in ("too many", "too many keys", "directives", "directives, \\r"):
            pytest.skip("it takes some seconds, and then says the same")
        monkeypatch.setattr(yaml_text, "_LOADER", yaml.SafeLoader)
    begun = time.process_time()
    with pytest.raises(ValueError, match=r"^it(, line \d+)?: .") as caught:
        read_yaml(TOO_MUCH[name], "it")
    assert time.process_time() - begun < 3  # it takes a tenth of it
    if "itself" in name:
        assert "holds itself" in str(caught.value)
    if "deep" in name:
        assert "nested too deeply" in str(caught.value) or "twice" in str(caught.value)
    assert len(str(caught.value)) <= 1000 and "\n" not in str(caught.value)


@pytest.mark.parametrize("reader", ["C", "Python"])
def test_an_honest_config_with_anchors_is_read(reader, monkeypatch):
    if reader == "Python":
        monkeypatch.setattr(yaml_text, "_LOADER", yaml.SafeLoader)
    text = """
        base: &base {structure: dense, popsize: 20, box: &box [-5, 5]}
        more: &more {<<: *base, popsize: 40}
        last: {<<: [*more, *base], box: [*box, *box]}
        when: 2001-01-02
        "quoted: key": |
          two
          lines
        numbers: [1, 2.5, 0x10, 1e3, 1.0e+3, .inf, ~, yes, 1_000, 1:30]
    """
    value = read_yaml(text, "it")
    assert value == yaml.safe_load(text)
    assert value["last"] == {"structure": "dense", "popsize": 40, "box": [[-5, 5], [-5, 5]]}
    assert value["when"] == datetime.date(2001, 1, 2)
    assert read_yaml("a: 1\na: {b: 2, b: 3}", "it", twice=True) == {"a": {"b": 3}}
    assert read_yaml("", "it") is None and read_yaml("3", "it") == 3


def test_names_of_files_that_are_no_text_come_back(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    text = yaml.safe_dump({"name": name, "other": "…"}, allow_unicode=True)
    assert read_yaml(text, "it") == {"name": name, "other": "…"}


def test_what_is_written_can_be_read_again():
    check_fits({"x0": [0.5] * (MOST - 10)})
    with pytest.raises(ValueError, match="must not have more than"):
        check_fits({"bounds": [[0, 1]] * (MOST // 2)})
    with pytest.raises(ValueError, match="must not have more than"):
        experiment_from({"problems": ["sphere"], "dim": 2, "x0": [1.0] * (MOST + 1)})
    deep = []
    for _ in range(70):
        deep = [deep]
    with pytest.raises(ValueError, match="must not have more than 64 levels"):
        check_fits({"structure": deep})


def test_a_config_may_be_a_link_and_the_folder_of_a_run_may_hold_none(tmp_path):
    (tmp_path / "real.yaml").write_text("problems: [sphere]\n")
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    assert load_config(tmp_path / "link.yaml") == {"name": "link", "problems": ["sphere"]}
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").symlink_to(tmp_path / "real.yaml")
    with pytest.raises(ValueError, match=r"config\.yaml' is a link, and no file"):
        load_config(folder)
