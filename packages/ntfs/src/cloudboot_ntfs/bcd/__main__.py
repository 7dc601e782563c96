"""``cloudboot-bcd``, ``python -m cloudboot_ntfs.bcd``: create, show and change Windows boot configurations."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from cloudboot_base import UsageError, followed, new_file
from cloudboot_base.command import OK, counted, print_json, printable, whole_argument
from cloudboot_base.program import Program
from cloudboot_ntfs.errors import DeviceError

from .devices import BootDevice, Device, from_text
from .elements import element_name, title
from .store import Store, object_text
from .templates import TEMPLATES, BcdOptions, create
from .text import parse_value, show, value_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAM = "cloudboot-bcd"
_DEVICES = """A DEVICE is one of
  boot
  gpt=PARTITION,DISK            GUIDs
  mbr=SIGNATURE,OFFSET
  ramdisk=[DEVICE]\\PATH,{GUID}
  file=[DEVICE]\\PATH
  vhd=[DEVICE]\\PATH,locate=custom:ELEMENT
  locate=custom:ELEMENT"""


_EXAMPLES = {
    "create BCD --template windows --timeout 5": "Make a store that starts Windows from the boot device.",
    "show BCD {default}": "List the elements of the default boot entry.",
    "set BCD {default} testsigning yes": "Set an element.",
    "repoint BCD --windows mbr=12345678,1048576": "Change the partition of Windows.",
}


def program() -> Program:
    """The command lines of ``cloudboot-bcd``."""
    program = Program(
        PROGRAM, "cloudboot-ntfs", "Create, show and change Windows boot configurations (BCD stores).",
        examples=_EXAMPLES,
    )  # fmt: skip

    def command(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = program.command(name, main, purpose)
        added.add_argument("store", metavar="STORE", help="The file of the store (a registry hive).")
        if name != "create":
            added.add_argument(
                "--log", action="append", default=[], metavar="FILE",
                help="A transaction log of a store that is dirty: BCD.LOG1, BCD.LOG2.",
            )  # fmt: skip
        return added

    _add_choices(command("create", _create, "Make a new store."))

    added = command("show", _show, "List objects and elements, as bcdedit /enum all does.")
    added.add_argument(
        "object", metavar="OBJECT", nargs="*", help="An object: {bootmgr}, {default} or a GUID (default: all)."
    )

    added = command("set", _set, "Set an element of an object.")
    added.epilog = _DEVICES
    added.add_argument("object", metavar="OBJECT", help="An object: {bootmgr}, {default} or a GUID.")
    added.add_argument(
        "element", metavar="ELEMENT", help="Name of an element, or its type as eight hexadecimal digits."
    )
    added.add_argument(
        "value",
        metavar="VALUE",
        nargs="+",
        help="One of: yes, no, a number, a text, objects, a DEVICE, or hex: and bytes.",
    )

    added = command("delete", _delete, "Delete an element of an object, or an object.")
    added.add_argument("object", metavar="OBJECT", help="An object: {bootmgr}, {default} or a GUID.")
    added.add_argument(
        "element", metavar="ELEMENT", nargs="?", help="Name of an element, or its type as eight hexadecimal digits."
    )

    added = command("import", _import, "Read an existing store and write it again, sorted and without unused cells.")
    added.add_argument("source", metavar="SOURCE", help="The store to read.")
    _add_places(added)
    added.add_argument("--force", action="store_true", help="Replace STORE if it exists.")

    added = command("repoint", _repoint, "Change the partitions that a store refers to.")
    _add_places(added)
    return program


def _add_choices(added: argparse.ArgumentParser) -> None:
    """What a new store is to hold."""
    added.epilog = _DEVICES
    added.add_argument(
        "--template", choices=TEMPLATES, default=TEMPLATES[0], help="What the store starts (default: windows)."
    )
    added.add_argument(
        "--windows", type=_device, default=BootDevice(), metavar="DEVICE", help="The device of Windows (default: boot)."
    )
    added.add_argument(
        "--esp",
        type=_device,
        default=BootDevice(),
        metavar="DEVICE",
        help="The device of the boot manager (default: boot).",
    )
    added.add_argument(
        "--recovery",
        type=_device,
        metavar="DEVICE",
        help="The device of the recovery image (default: that of Windows).",
    )
    added.add_argument(
        "--description", default=BcdOptions().description, metavar="TEXT", help="Name in the menu (default: Windows)."
    )
    added.add_argument(
        "--locale", default=BcdOptions().locale, metavar="NAME", help="Language of the menu (default: en-US)."
    )
    added.add_argument(
        "--timeout", type=whole_argument, default=BcdOptions().timeout, metavar="SECONDS",
        help="How long the menu waits (default: 30).",
    )  # fmt: skip
    added.add_argument("--graphics", action="store_true", help="Use the graphical menu instead of the text menu.")
    added.add_argument("--force", action="store_true", help="Replace STORE if it exists.")


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _DEVICES
    parser.add_argument("--windows", type=_device, metavar="DEVICE", help="The new device of Windows.")
    parser.add_argument("--esp", type=_device, metavar="DEVICE", help="The new device of the boot manager.")
    parser.add_argument("--recovery", type=_device, metavar="DEVICE", help="The new device of files under \\Recovery.")


def _device(text: str) -> Device:
    try:
        return from_text(text)
    except DeviceError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _opened(options: argparse.Namespace, source: str | None = None) -> Store:
    """The store that a command reads, with a word of one that is dirty."""
    path = options.store if source is None else source
    store = Store.open(path, logs=options.log)
    if store.is_dirty:
        print(
            f"{PROGRAM}: {printable(path)}: a write to the store was begun and not ended; "
            f"--log applies its logs, {printable(os.path.basename(path))}.LOG1 and .LOG2, if there are any",
            file=sys.stderr,
        )
    return store


def _write(path: str, store: Store, *, force: bool) -> None:
    data = store.pack()
    with new_file(followed(path), force=force) as fd:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]


def _create(options: argparse.Namespace) -> int:
    store = create(
        options.template,
        BcdOptions(
            windows=options.windows,
            boot_manager=options.esp,
            recovery=options.recovery,
            description=options.description,
            locale=options.locale,
            timeout=options.timeout,
            legacy_menu=not options.graphics,
        ),
    )
    _write(options.store, store, force=options.force)
    return OK


def _show(options: argparse.Namespace) -> int:
    store = _opened(options)
    if not options.json:
        print("\n".join(printable(line) for line in show(store, options.object).split("\n")), end="")
        return OK
    chosen = [store.object(name) for name in options.object] or list(store.objects())
    print_json(
        [
            {
                "identifier": object_text(each.guid),
                "type": each.known_type,
                "title": title(each.guid, each.known_type),
                "elements": {
                    name: value_texts(value, name)
                    for number, value in each.elements()
                    for name in [element_name(number, each.known_type or 0)]
                },
            }
            for each in chosen
        ]
    )
    return OK


def _set(options: argparse.Namespace) -> int:
    store = _opened(options)
    found = store.object(options.object)
    number = found.number(options.element)
    found.set(number, parse_value(number, options.value, element_name(number, found.known_type or 0)))
    _write(options.store, store, force=True)
    return OK


def _delete(options: argparse.Namespace) -> int:
    store = _opened(options)
    if options.element is None:
        store.delete(options.object)
    else:
        store.object(options.object).delete(options.element)
    _write(options.store, store, force=True)
    return OK


def _import(options: argparse.Namespace) -> int:
    store = _opened(options, options.source)
    _moved(options, store)
    _write(options.store, store, force=options.force)
    return OK


def _repoint(options: argparse.Namespace) -> int:
    if options.windows is None and options.esp is None and options.recovery is None:
        raise UsageError("no new place", hint="give --windows, --esp or --recovery")
    store = _opened(options)
    _moved(options, store)
    _write(options.store, store, force=True)
    return OK


def _moved(options: argparse.Namespace, store: Store) -> None:
    count = store.repoint(esp=options.esp, windows=options.windows, recovery=options.recovery)
    if options.json:
        print_json({"changed": count})
    else:
        print(f"{counted(count, 'element')} changed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    return program().run(arguments)


if __name__ == "__main__":
    sys.exit(main())
