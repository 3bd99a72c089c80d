"""What all commands of the command line share: how they fail, and when they are imported.

A failure is one line on stderr and an exit code, in characters that a terminal may be given. A
command of the bench is imported when it is called.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import click

from ..naming.error_text import nearest
from ..naming.loading import load_object
from . import interrupts
from .output import visible

EXIT_FAILED, EXIT_USAGE, EXIT_MISSED = 1, 2, 3


class CommandError(click.ClickException):
    """One line on stderr, and an exit code."""

    def __init__(self, error: BaseException | str, exit_code: int = EXIT_FAILED):
        text = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.strerror and error.filename is not None:
            text = f"{error.filename!r}: {error.strerror}"
        super().__init__(visible(" ".join(text[:20_000].split()), 2000))
        self.exit_code = exit_code


@contextmanager
def _legible():
    """Make what click complains about, in words of the user's, such as a terminal may be given."""
    try:
        yield
    except click.ClickException as error:
        error.message = visible(error.message, 2000)
        raise


class CommandGroup(click.Group):
    """What all commands share: the nearest name for an unknown one, no traceback for a missing
    package or an interrupt, and the exit code of Ctrl-C."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple:
        if args[0] not in self.commands and not args[0].startswith("-"):
            names = ", ".join(self.commands)
            hint = nearest(args[0], self.commands)
            raise click.UsageError(f"unknown command {args[0]!r}{hint}; known: {names}")
        return super().resolve_command(ctx, args)

    def make_context(self, *words: Any, **extra: Any) -> click.Context:
        with _legible():
            return super().make_context(*words, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            interrupts.raise_from_here()
            with _legible():
                return super().invoke(ctx)
        except ImportError as error:  # an extra is missing, or a module of the user's: it says
            raise CommandError(error) from error
        except KeyboardInterrupt:
            interrupts.end_at_once()  # where it comes once more
            click.echo("Interrupted.", err=True)
            ctx.exit(interrupts.exit_code())
        finally:
            interrupts.end_at_once()


class LazyCommand(click.Command):
    """A command that is imported when it is called; until then only its name and help exist."""

    def __init__(self, name: str, path: str, help: str, extra: str):
        super().__init__(name, help=help)
        self.path, self.extra = path, extra

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        try:
            command = load_object(self.path)
        except ImportError as error:
            message = f"`structes {self.name}` needs more: pip install 'structes[{self.extra}]'"
            raise CommandError(f"{message} ({error})") from error
        except ValueError as error:
            raise CommandError(error) from error
        return command.make_context(info_name, args, parent=parent, **extra)
