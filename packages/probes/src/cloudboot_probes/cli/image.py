"""``cloudboot image``: build a disk image, look into one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cloudboot_base.command import CHECK_FAILED, counted, printable
from cloudboot_probes import image as images
from cloudboot_probes import recipe as recipes
from cloudboot_probes import systems
from cloudboot_probes.describe import Description, describe, opened

from . import options
from .manners import Manners, reported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_probes.recipe import Recipe

app = typer.Typer(help="Build disk images and look into them.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def build(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help=f"A TOML file, or one of: {', '.join(recipes.builtin_names())}."),
    ] = "linux",
    output: Annotated[Path, typer.Option("--output", "-o", metavar="IMAGE", help="The image to write.")] = Path(
        "disk.img"
    ),
    loader: Annotated[
        Path | None, typer.Option(metavar="FILE", help="EFI program, put where the firmware looks for one.")
    ] = None,
    root: Annotated[Path | None, typer.Option(metavar="TREE|TAR", help="What the UFS2 root holds.")] = None,
    esp_file: Annotated[
        list[str] | None, typer.Option(metavar="/PATH=FILE", help="A file of the ESP; can be repeated.")
    ] = None,
    root_file: Annotated[
        list[str] | None, typer.Option(metavar="/PATH=FILE", help="A file of the root; can be repeated.")
    ] = None,
    esp_size: Annotated[int | None, typer.Option(parser=options.size, metavar="SIZE", help="Size of the ESP.")] = None,
    root_size: Annotated[
        int | None,
        typer.Option(parser=options.size, metavar="SIZE", help="Size of the root; by default what it needs."),
    ] = None,
    block_size: Annotated[
        int | None, typer.Option(parser=options.size, metavar="SIZE", help="UFS2 block size, 4096 to 65536.")
    ] = None,
    fragment_size: Annotated[
        int | None, typer.Option(parser=options.size, metavar="SIZE", help="UFS2 fragment size.")
    ] = None,
    density: Annotated[int | None, typer.Option(metavar="BYTES", help="UFS2 bytes per inode.")] = None,
    label: Annotated[str | None, typer.Option(help="UFS2 label.")] = None,
    sector_size: Annotated[int | None, typer.Option(help="Logical sector size of the disk: 512 or 4096.")] = None,
    timestamp: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Time of all that is made here, since 1970.")
    ] = None,
    seed: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Derive the GUIDs from this, not from the content.")
    ] = None,
    kernel: Annotated[Path | None, typer.Option(metavar="FILE", help="Kernel instead of Debian's (linux).")] = None,
    initrd: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Initial RAM disk instead of ours (linux).")
    ] = None,
    grub_modules: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="GRUB's x86_64-efi folder instead of Debian's (linux).")
    ] = None,
    arguments: Annotated[str | None, typer.Option(metavar="TEXT", help="Kernel arguments (linux).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be written; write nothing.")] = False,
    force: options.Force = False,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Build a bootable disk image without root: GPT, a FAT ESP with an EFI loader, a UFS2 root."""
    manners = Manners(json, verbose)
    with reported(manners):
        made = recipes.load(recipe)
        esp_files = dict(options.assignment(text) for text in esp_file or ())
        if loader is not None:
            esp_files[systems.load("linux").loader(made.architecture)] = loader
        changed = _changed(
            made,
            {"sector_size": sector_size, "timestamp": timestamp, "seed": seed},
            esp={"size": esp_size, "files": {**made.esp.files, **esp_files}},
            root={
                "source": root,
                "size": root_size,
                "block_size": block_size,
                "fragment_size": fragment_size,
                "density": density,
                "label": label,
                "files": {**made.root.files, **dict(options.assignment(text) for text in root_file or ())},
            },
            linux={"kernel": kernel, "initrd": initrd, "grub_modules": grub_modules, "arguments": arguments},
        )
        planned = images.plan(changed, manners.say)
        if dry_run:
            if json:
                manners.result(planned.as_dict())
            else:
                _print_plan(manners, planned, output)
            return
        total = sum(entry.size or 0 for entry in planned.contents.manifest.root.values())
        with manners.progress("building") as progress:
            built = images.build(planned, output, force=force, progress=lambda done: progress(done, total))
        if json:
            manners.result({"image": str(output), **built.as_dict()})
        else:
            _print_partitions(manners, built.table.as_dict())
            manners.out.print(
                f"{output}: {built.table.size} bytes, {counted(built.manifest.files, 'file')}, sha256:{built.sha256}",
                soft_wrap=True,
            )


def _changed(recipe: Recipe, own: dict[str, object], **parts: dict[str, object]) -> Recipe:
    """The recipe with the flags that were given."""
    given = {name: value for name, value in own.items() if value is not None}
    for name, values in parts.items():
        chosen = {key: value for key, value in values.items() if value is not None}
        given[name] = dataclasses.replace(getattr(recipe, name), **chosen)
    return dataclasses.replace(recipe, **given)  # type: ignore[arg-type]  # the names are the dataclass's own fields


@app.command()
def inspect(
    image: Annotated[str, typer.Argument(metavar="IMAGE|REFERENCE", help="A disk image, or one in a registry.")],
    check: Annotated[bool, typer.Option(help="Recompute every invariant.")] = True,
    insecure: options.Insecure = False,
    ca_file: options.CaFile = None,
    auth_file: options.AuthFile = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Show partitions, file systems and the build's manifest; exit 1 if a check finds something."""
    manners = Manners(json, verbose)
    with (
        reported(manners),
        manners.progress("fetching") as progress,
        opened(image, options.access(insecure, ca_file, auth_file), progress) as disk,
    ):
        description = describe(disk, check=check)
    if json:
        manners.result(description.as_dict())
    else:
        _print_description(manners, description)
    if description.findings:
        raise typer.Exit(CHECK_FAILED)


def _print_plan(manners: Manners, planned: images.Plan, output: Path) -> None:
    facts = planned.as_dict()
    manners.out.print(f"would write {output}: {facts['size']} bytes")
    _print_partitions(manners, planned.table.as_dict())
    manifest = planned.contents.manifest
    for path, (size, _) in sorted(manifest.esp.items()):
        manners.out.print(f"  ESP   {size:>12}  {path}", soft_wrap=True)
    for path, entry in sorted(manifest.root.items()):
        what = f"{entry.size:>12}" if entry.size is not None else " " * 12
        manners.out.print(f"  root  {what}  {path}" + (f" -> {entry.target}" if entry.target else ""), soft_wrap=True)


def _print_partitions(manners: Manners, table: Mapping[str, Any]) -> None:
    """A line for each partition, in columns as wide as their widest cell, whatever the terminal's width."""
    rows = [("#", "type", "first LBA", "last LBA", "size", "GUID", "name")]
    rows += [
        (str(part["number"]), part["type_name"] or part["type"], str(part["first_lba"]), str(part["last_lba"]),
         _size(part["size"]), part["guid"], part["name"])
        for part in table["partitions"]
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        manners.out.print(Text(printable("  ".join(cells).rstrip()), "dim" if number == 0 else ""), soft_wrap=True)


def _size(count: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def _print_description(manners: Manners, description: Description) -> None:
    out = manners.out
    out.print(f"disk {description.table['disk_guid']}, {description.table['size']} bytes", highlight=False)
    _print_partitions(manners, description.table)
    for name, facts, files in description.file_systems:
        out.print()
        told = "  ".join(f"{key} {value}" for key, value in facts.items())
        out.print(Text.assemble((name, "bold"), "  ", printable(told)), soft_wrap=True)
        for file in files:
            target = f" -> {file['target']}" if "target" in file else ""
            line = f"  {file['mode']}  {file['size']:>12}  {file['path']}{target}"
            out.print(Text(printable(line)), soft_wrap=True)
    if description.sources:
        out.print()
        out.print(Text("made from", "bold"))
        for source in description.sources:
            line = f"  {source['package']} {source['version']}  sha256:{source['sha256']}"
            out.print(Text(printable(line)), soft_wrap=True)
    out.print()
    for finding in description.findings:
        out.print(Text.assemble(("! ", "bold red"), printable(finding)), soft_wrap=True)
    if description.checked:
        out.print("no defect found" if not description.findings else f"{len(description.findings)} defects found")
