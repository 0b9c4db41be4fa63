"""`regimen info`: versions, engines and instruction set in use, and why."""

from collections.abc import Iterator
from pathlib import Path

import click


@click.command(short_help="Show versions, engines and instruction set in use.")
def info() -> None:
    """Show versions, engines and instruction set in use, and why."""
    from regimen.cli.wording import printable

    sections = list(_sections())
    width = max(len(name) for _, rows in sections for name, _ in rows)
    for position, (title, rows) in enumerate(sections):
        click.echo(("\n" if position else "") + title)
        for name, value in rows:
            click.echo(f"  {name:<{width}}  {printable(value)}")


def _sections() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    import torch

    from regimen.data import BUNDLED
    from regimen.data.known_images import VARIABLE
    from regimen.data.sources import IMAGES
    from regimen.engine import choose_engine
    from regimen.models import parse_model
    from regimen.study import environment

    found = environment()
    machine = ("system", "processor", "cores", "threads")
    yield "versions", [(name, str(value)) for name, value in found.items() if name not in machine]
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none that PyTorch finds"
    yield (
        "machine",
        [
            ("system", str(found["system"])),
            ("processor", str(found["processor"])),
            ("instruction set", f"{torch.backends.cpu.get_cpu_capability()} (as PyTorch uses it)"),
            ("cores", f"{found['cores']}: as many runs train at a time, each on one thread; --processes N for others"),
            ("CUDA device", cuda),
        ],
    )
    choice = choose_engine("auto")
    taken = [("auto", f"stands for {choice.name}")]
    yield "engines", taken + [(name, reason) for name, reason in choice.reasons.items()]
    yield (
        "data and models",
        [
            ("bundled", f"{', '.join(BUNDLED)} (come with scikit-learn)"),
            ("OpenML", "openml:NAME or openml:NUMBER (downloaded once)"),
            ("images", f"{', '.join(IMAGES)} (looked for in the folder {VARIABLE}, else downloaded once)"),
            ("", "a folder with a folder for each class, or with train and test of such inside; an IDX file"),
            ("files", f".csv, .tsv, .parquet, .npz; relative paths start at {Path.cwd()}"),
            ("results", f"{Path('runs').resolve()}, unless --out names another folder"),
            ("models", f"mlp ({parse_model('mlp').name}), mlp:256x256, mlp:64:tanh, mlp:linear"),
            ("", f"for images cnn ({parse_model('cnn').name}), cnn:32p,64p:linear, cnn:8s2p:50:tanh:k5p2"),
            ("", "of your own FILE.py:FUNCTION, a function or class without arguments that makes a torch.nn.Module"),
        ],
    )
