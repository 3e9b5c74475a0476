"""The examples in the help of each command. The tests run every one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Example:
    """A command line, in lines of up to 76 characters, and what it is for."""

    purpose: str
    command: str


EXAMPLES: Mapping[str, tuple[Example, ...]] = MappingProxyType(
    {
        "stage": (
            Example("300,000,000 trades of 2024", "loader stage --out data/"),
            Example(
                "Fewer trades, of two symbols, in January",
                "loader stage --out january/ --trades 200000 --symbols AAPL,F \\\n    --end 2024-01-31",
            ),
            Example(
                "Points of your own, from CSV",
                "loader stage --from 'export/*.csv' --out points/ --measurement cpu \\\n"
                "    --tag host --time when --timezone UTC",
            ),
        ),
        "inspect": (
            Example("What a file holds, and which command loads it", "loader inspect trips.parquet"),
            Example("Keep the guess, to change it by hand", "loader inspect 'trips*.parquet' --write points.toml"),
        ),
        "candles": (
            Example("By the minute and symbol, of staged trades", "loader candles data/ --every 1m --out minutes/"),
            Example("By the day, of both sides apart", "loader candles data/ --every 1d --by symbol,side --out daily/"),
        ),
        "tune": (
            Example("A minute of measuring, and the best flags of load", "loader tune data/"),
            Example("A longer look, for a program", "loader tune data/ --seconds 300 --json"),
        ),
        "load": (
            Example("Staged data, into the server that the environment names", "loader load data/"),
            Example("Ten times as fast, with an operator token", "loader load data/ --via restore --bucket restored"),
            Example(
                "Parquet of your own",
                "loader load trips.parquet --measurement trips --time pickup --tag vendor \\\n"
                "    --timezone UTC --bucket trips",
            ),
        ),
        "replay": (
            Example("Rejected rows of the last load, after a fix", "loader replay data/"),
            Example(
                "Rows that could not be points, by another mapping",
                "loader replay trips.parquet --schema points.toml --bucket trips",
            ),
        ),
        "verify": (
            Example("The last load: counts, sums, extremes, and random points", "loader verify data/"),
            Example("Every stored value of your own Parquet", "loader verify trips.parquet --bucket trips --values"),
        ),
        "status": (
            Example("What is staged, loaded and verified", "loader status data/"),
            Example("The same for a program", "loader status trips.parquet --json"),
        ),
        "report": (
            Example("A page about a dataset, its loads and its verification", "loader report data/"),
            Example("Two datasets beside each other", "loader report data/ --compare january/ --out two.html"),
        ),
        "export-tsm": (
            Example("For influxd inspect", "loader export-tsm data/ --out files/"),
            Example("In shards of a day", "loader export-tsm data/ --out days/ --shard-duration 1d"),
        ),
        "doctor": (
            Example("This machine, and the server that a load would use", "loader doctor"),
            Example("A dataset, too, before it is loaded into a bucket", "loader doctor data/ --bucket trades"),
        ),
        "version": (
            Example("The loader, its libraries, and the server", "loader version"),
            Example("Without a server", "loader --version"),
        ),
        "completion": (
            Example("Bash", "loader completion bash > ~/.local/share/bash-completion/completions/loader"),
            Example("Zsh, in a folder of fpath, before compinit runs", "loader completion zsh > ~/.zfunc/_loader"),
            Example("Fish", "loader completion fish > ~/.config/fish/completions/loader.fish"),
        ),
    }
)


def epilog(command: str) -> str | None:
    """Return the examples of ``command`` for the end of its help, in the markup of Rich; None if it has none."""
    shown = (
        f"[dim]# {example.purpose}[/dim]\n" + "\n".join(f"  {line}" for line in example.command.splitlines())
        for example in EXAMPLES.get(command, ())
    )
    text = "\n".join(shown)
    return f"[bold]Examples[/bold]\n{text}" if text else None
