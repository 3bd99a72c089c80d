"""What may lie in the place of a file: nothing hangs, nothing is followed, nothing is filled."""

import os
import socket
import time

import pytest

from structes.files.opening import LONGEST, NoFile, check_regular, lines_of, read_text, regular

KINDS = ["pipe", "folder", "link", "link to nothing", "loop", "socket", "device"]


def put(path, kind):
    """Lay something there that is no file."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        os.mkdir(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as its:
            its.bind(str(path))
    elif kind == "device":
        try:
            os.mknod(path, 0o020666, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            pytest.skip("only root makes devices")
    else:
        target = {"link": __file__, "link to nothing": "/nonexistent/x", "loop": path.name}[kind]
        os.symlink(target, path)


def word(kind):
    return "link" if kind in ("loop", "link to nothing") else kind


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = tmp_path / "it"
    put(type(path)("it"), kind)
    begun = time.monotonic()
    for act in (
        lambda: read_text(path, 1000),
        lambda: check_regular(path),
        lambda: regular(path),
        lambda: regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
    ):
        with pytest.raises(NoFile, match=f"is a {word(kind)}, and no file") as caught:
            act()
        assert isinstance(caught.value, ValueError) and caught.value.filename == str(path)
    assert time.monotonic() - begun < 1


def test_a_file_that_changes_before_it_is_opened_is_looked_at_again(tmp_path, monkeypatch):
    path, other = tmp_path / "it", tmp_path / "pipe"
    path.write_text("x")
    os.mkfifo(other)
    opened = os.open
    monkeypatch.setattr(os, "open", lambda _, *its, **more: opened(other, *its, **more))
    with pytest.raises(NoFile, match="is a pipe"):
        regular(path)


def test_no_more_is_read_than_can_be_used(tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(2**40)  # of zeros, which take no room
    with pytest.raises(ValueError, match="too long: more than 1000 bytes"):
        read_text(path, 1000)
    path.write_bytes(b"x" * 999 + b"\xff")
    assert read_text(path, 1000) == "x" * 999 + "\udcff"


def test_a_line_that_does_not_end(tmp_path):
    path = tmp_path / "log"
    path.write_text("a\n" + "b" * (LONGEST + 1) + "\n")
    with open(path) as file:
        lines = lines_of(file)
        assert next(lines) == "a\n"
        with pytest.raises(ValueError, match="a line of more than"):
            next(lines)
    path.write_text("a\nb\ntorn")
    with open(path) as file:
        assert list(lines_of(file)) == ["a\n", "b\n"]


def test_a_file_under_several_names_is_read_and_not_written(tmp_path):
    (tmp_path / "mine").write_text("precious\n")
    os.link(tmp_path / "mine", tmp_path / "log")
    assert read_text(tmp_path / "log", 100) == "precious\n"
    with pytest.raises(NoFile, match="several names"):
        regular(tmp_path / "log", os.O_WRONLY)


def test_a_new_file_is_made_as_open_makes_it(tmp_path):
    mask = os.umask(0o027)
    try:
        with open(tmp_path / "new", "a", opener=regular) as file:
            file.write("x")
    finally:
        os.umask(mask)
    assert os.stat(tmp_path / "new").st_mode & 0o777 == 0o640


def test_a_pipe_that_the_user_names_is_read(tmp_path):
    reader, writer = os.pipe()
    os.write(writer, b"dim: 3\n")
    os.close(writer)
    try:
        assert read_text(f"/dev/fd/{reader}", 100, named=True) == "dim: 3\n"
    finally:
        os.close(reader)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        read_text("/dev/zero", 100, named=True)
