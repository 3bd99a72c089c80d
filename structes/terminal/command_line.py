"""Is this process the command line? And then: what lies in the working folder is not imported.

`python -m structes` puts the working folder first on the path, so that a file there of the name of
a module (csv.py, numpy.py) would be run in the place of that module, whoever has laid it there.
The command `structes` does not. So the folder is taken off here, before anything else is imported
(hence no more imports than these two); `flags.py` puts it back, as the last one, where the user
names a module:function. In any other process nothing is touched.
"""

from __future__ import annotations

import os
import sys


def is_command_line() -> bool:
    """Was this process started as `structes` or `python -m structes`?"""
    words = getattr(sys, "argv", None) or [""]
    name = os.path.basename(words[0])
    if name == "-m":  # the package of what -m names is being imported; its name stands before
        name = sys.orig_argv[-len(words)].removeprefix("-m")  # the arguments, as in -mstructes
    if name == "__main__.py":  # and this is what takes the place of -m afterwards
        name = os.path.basename(os.path.dirname(words[0]))
    return name.removesuffix(".exe").removesuffix("-script.py") == "structes"


def leave_working_folder() -> None:
    """Take the working folder off the path, where `python -m structes` has put it there and where
    structes itself does not lie in it."""
    by_module = sys.argv[:1] == ["-m"] and is_command_line()
    if not by_module or getattr(sys.flags, "safe_path", sys.flags.isolated):
        return
    try:
        folder = os.path.realpath("")
    except OSError:  # it was deleted
        return
    package_folder = os.path.realpath(
        os.path.join(os.path.dirname(__file__), os.pardir, os.pardir)
    )
    if package_folder != folder and sys.path and os.path.realpath(sys.path[0]) == folder:
        del sys.path[0]


leave_working_folder()
