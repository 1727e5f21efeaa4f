"""Commands for the store of completed work."""

from pathlib import Path

import click

from avsed.commands.options import quiet_option


@click.command("clean")
@click.option("--yes", is_flag=True, help="Remove it; default: only show it.")
@quiet_option
def clean_store(yes: bool, quiet: bool) -> None:
    """Show what this workspace does not use in the store, and remove it with --yes.

    Only feature shards and trained seeds are removed; they are computed again when needed.
    """
    from avsed.config import load_params
    from avsed.runtime.store import store_dir
    from avsed.store.cleaning import describe_unused, find_unused, hold_store, remove_unused

    load_params()  # fails in any other folder
    store = store_dir()
    with hold_store(store):
        folders = find_unused(
            store, features_dir=Path("data/features"), models_dir=Path("data/models")
        )
        print(describe_unused(folders))
        n_unused = remove_unused(folders) if yes else sum(len(each.unused) for each in folders)
    if not n_unused:
        print(f"{store}: nothing to remove")
    elif yes:
        print(f"{store}: removed {n_unused:,} items")
    else:
        print(f"{store}: removed nothing; `avsed store clean --yes` removes {n_unused:,} items")
