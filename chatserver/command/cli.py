"""The command `chatserver`: its options, and which file carries out what."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from chatserver import __version__
from chatserver.command import joining, keys, migrate, order, output, serve, users
from chatserver.command.refusal import Refused, sentence_of
from chatserver.command.settings import add_options

EXIT_REFUSED = 2


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage that nobody reads."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code: 0, or 2 with one sentence on stderr.

    Where whoever reads the output has seen enough, as `head -1`, the command ends there and that is no failure.
    """
    # Whatever is made from here on is its owner's alone: the database, its journal, the keys, folders on the way.
    os.umask(0o077)
    output.prepare()
    try:
        code = _run(arguments)
        output.flush()
        return code
    except BrokenPipeError:
        output.give_up()
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None and isinstance(error, OSError) and error.filename is None:
            output.give_up()
            sentence = f"the output cannot be written ({error.strerror})."
        if sentence is None:
            raise
        output.complain(sentence)
    return EXIT_REFUSED


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as end:  # after --help and --version
        return int(end.code or 0)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="chatserver", description="A friends' chat server.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"chatserver {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def command(parent: Any, name: str, text: str, run: Callable[..., int]) -> _Parser:
        made: _Parser = parent.add_parser(name, help=text, description=text, allow_abbrev=False)
        made.set_defaults(run=run)
        return made

    add_options(command(commands, "serve", "Run the server.", serve.run))
    key = commands.add_parser("key", help="The keys that seal cookies.")
    rotate = key.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    text = (
        "Add a key that seals from now on, beside a running server too; older ones open until a rotation"
        " that comes 30 days later."
    )
    add_options(command(rotate, "rotate", text, keys.rotate), ["data"])
    orders = commands.add_parser("order", help="Who gives out the places of events.")
    ways = orders.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    text = "A stream of NATS from the next start on: for --processes and --nats."
    add_options(command(ways, "stream", text, order.stream), joining.OPTIONS)
    text = "The database itself again: for one process."
    add_options(command(ways, "local", text, order.local), joining.OPTIONS)
    user = commands.add_parser("user", help="The accounts.")
    accounts = user.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    add = command(accounts, "add", "Make an account.", users.add)
    add.add_argument("email", metavar="EMAIL")
    add.add_argument("--first-name", required=True)
    add.add_argument("--last-name", default="")
    add.add_argument("--password-stdin", action="store_true", help="read the password from stdin")
    add_options(add, joining.OPTIONS)
    add_options(command(accounts, "list", "Show the accounts.", users.show), ["data", "mongodb"])
    text = "Move everything from one store to another; start it again if it was interrupted."
    move = command(commands, "migrate", text, migrate.run)
    where = "a data folder, or a mongodb:// URI"
    move.add_argument("--from", dest="source", metavar="X", required=True, help=where)
    move.add_argument("--to", dest="target", metavar="X", required=True, help=where)
    return parser
