"""``cloudboot image``: build a disk image, look into one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from cloudboot_base import followed, refuse_existing
from cloudboot_base.command import CHECK_FAILED, OK, counted, ignoring_broken_pipe, printable
from cloudboot_base.gates import Verdict
from cloudboot_probes import image as images
from cloudboot_probes import recipe as recipes
from cloudboot_probes.describe import Description, describe, opened
from cloudboot_probes.loader import REMOVABLE
from cloudboot_probes.render.terminal import gate_lines
from cloudboot_probes.render.text import Style
from cloudboot_probes.windows.components import conclusion

from . import media
from .registry import reach

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from cloudboot_probes.disk_plan import Plan
    from cloudboot_probes.recipe import Recipe

    from .console import Console


def build(options: argparse.Namespace, console: Console) -> int:
    """Build an image, or say what would be built."""
    if not options.dry_run:
        refuse_existing(followed(options.output), force=options.force)
    made = recipes.load(options.recipe)
    if options.architecture is not None:
        made = dataclasses.replace(made, architecture=options.architecture)
    esp_files = dict(options.esp_file or ())
    if options.loader is not None:
        esp_files[REMOVABLE[made.architecture]] = options.loader
    changed = _changed(
        made,
        {name: getattr(options, name) for name in ("sector_size", "timestamp", "seed", "esp_only")},
        esp={"size": options.esp_size, "files": {**made.esp.files, **esp_files}},
        root={
            "source": options.root,
            "size": options.root_size,
            "free": options.root_free,
            "block_size": options.block_size,
            "fragment_size": options.fragment_size,
            "density": options.density,
            "label": options.label,
            "files": {**made.root.files, **dict(options.root_file or ())},
        },
        linux={name: getattr(options, name) for name in ("kernel", "initrd", "grub_modules", "arguments")},
        windows={
            "stand_in": options.stand_in or None,
            **{name: getattr(options, name) for name in ("bcd", "locale", "index")},
        },
    )
    with media.resolved(changed, options, console) as whole:
        return _build(whole, options, console)


def _build(recipe: Recipe, options: argparse.Namespace, console: Console) -> int:
    planned = images.plan(recipe, console.say)
    for warning in planned.contents.warnings:
        console.warn(warning)
    if options.dry_run:
        if console.json:
            console.result(planned.as_dict())
        else:
            _print_plan(console, planned, options.output)
        return OK
    total = sum(entry.size or 0 for entry in planned.contents.manifest.root.values())
    with console.progress("building") as progress:
        built = images.build(planned, options.output, force=options.force, progress=lambda done: progress(done, total))
    if console.json:
        console.result({"image": str(options.output), **built.as_dict()})
    else:
        _print_partitions(console, built.table.as_dict())
        files = counted(built.manifest.files, "file")
        console.print(printable(f"{options.output}: {built.table.size} bytes, {files}, sha256:{built.sha256}"))
    return OK


def _changed(recipe: Recipe, own: dict[str, object], **parts: dict[str, object]) -> Recipe:
    """The recipe with the flags that were given."""
    given = {name: value for name, value in own.items() if value is not None}
    for name, values in parts.items():
        chosen = {key: value for key, value in values.items() if value is not None}
        given[name] = dataclasses.replace(getattr(recipe, name), **chosen)
    return dataclasses.replace(recipe, **given)  # type: ignore[arg-type]  # the names are the dataclass's own fields


def inspect(options: argparse.Namespace, console: Console) -> int:
    """Show what is in an image."""
    with (
        console.progress("fetching") as progress,
        opened(options.image, *reach(options), progress=progress) as disk,
    ):
        description = describe(disk, check=options.check)
    with ignoring_broken_pipe():
        if console.json:
            console.result(description.as_dict())
        else:
            _print_description(console, description)
    failed = any(gate.verdict is Verdict.FAIL for gate in description.components)
    return CHECK_FAILED if description.findings or failed else OK


def _print_plan(console: Console, planned: Plan, output: Path) -> None:
    facts = planned.as_dict()
    console.print(printable(f"would write {output}: {facts['size']} bytes"))
    _print_partitions(console, planned.table.as_dict())
    manifest = planned.contents.manifest
    for path, (size, _) in sorted(manifest.esp.items()):
        console.print(printable(f"  ESP   {size:>12}  {path}"))
    for path, entry in sorted(manifest.root.items()):
        what = f"{entry.size:>12}" if entry.size is not None else " " * 12
        target = f" -> {entry.target}" if entry.target else ""
        console.print(printable(f"  root  {what}  {path}{target}"))


def _print_partitions(console: Console, table: Mapping[str, Any]) -> None:
    """A line for each partition, in columns as wide as their widest cell, whatever the terminal's width."""
    rows = [("#", "type", "first LBA", "last LBA", "size", "GUID", "name")]
    rows += [
        (str(part["number"]), part["type_name"] or part["type"], str(part["first_lba"]), str(part["last_lba"]),
         _size(part["size"]), part.get("guid", ""), part.get("name", ""))
        for part in table["partitions"]
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        text = printable("  ".join(cells).rstrip())
        console.print(Style.DIM.wrap(text) if number == 0 and console.color else text)


def _size(count: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def _print_description(console: Console, description: Description) -> None:
    table = description.table
    identity = f"disk {table.get('disk_guid') or 'with the MBR ' + str(table.get('disk_signature'))}"
    console.print(f"{'CD' if 'catalogue' in table else identity}, {table['size']} bytes")
    _print_partitions(console, description.table)
    for name, facts, files in description.file_systems:
        told = "  ".join(f"{key} {value}" for key, value in facts.items())
        console.print(f"\n{_bold(console, name)}  {printable(told)}")
        for file in files:
            target = f" -> {file['target']}" if "target" in file else ""
            console.print(printable(f"  {file['mode']}  {file['size']:>12}  {file['path']}{target}"))
    if description.sources:
        console.print(f"\n{_bold(console, 'made from')}")
        for source in description.sources:
            digest = f"  sha256:{source['sha256']}" if "sha256" in source else ""
            console.print(printable(f"  {source['package']} {source.get('version', '')}{digest}"))
    console.print()
    for warning in description.warnings:
        console.warn(warning)
    for finding in description.findings:
        mark = Style.BAD.wrap("! ") if console.color else "! "
        console.print(mark + printable(finding))
    if description.components:
        console.print(_bold(console, "what Windows' boot needs"))
        for gate in description.components:
            console.lines(gate_lines(gate, console.width, color=console.color))
        console.print()
    missing = sum(gate.verdict is Verdict.FAIL for gate in description.components)
    if description.components:
        console.print(printable(conclusion(description.components)))
    if description.checked:
        count = len(description.findings)
        console.print(
            f"{counted(count, 'defect')} found"
            if count
            else "no defect found in the formats"
            if missing
            else "no defect found"
        )


def _bold(console: Console, text: str) -> str:
    return Style.STRONG.wrap(text) if console.color else text
