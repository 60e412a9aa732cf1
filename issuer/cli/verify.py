"""`issuer verify`: the stranger's verifier, from the file that a stranger runs."""

import sys

import click


@click.command(
    context_settings={"ignore_unknown_options": True},
    options_metavar="--rpc URL --token ADDRESS --key VKEY --log FOLDER_OR_URL [--state FILE]",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def verify(arguments: tuple[str, ...]) -> None:
    """Check log, chain and reserve as a stranger does, with nothing of this home, database or settings.

    VKEY is the log's key or a file that holds it. With a state file, a log that does not extend what the last run saw
    is found out. With --receipt FILE, one receipt is checked instead, online, or against a --block-hash and a --feed
    alone; with --witness FILE the checkpoint is cosigned. `issuer/verify.py` is the same program in one file;
    docs/verify.md walks through it.
    """
    from issuer.verify import main

    sys.exit(main(arguments))
