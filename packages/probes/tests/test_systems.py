"""The data of the systems against text that their loaders printed elsewhere."""

import re

import pytest

from cloudboot_probes.systems import load
from cloudboot_uefi_host import Typed
from cloudboot_uefi_host.core.dialogue import Dialogue

#: System -> a line of its loader, and a line in which that loader gives up.
PRINTED = {
    "freebsd": ("FreeBSD/amd64 EFI loader, Revision 3.0\n", "Failed to find bootable partition\n"),
    "netbsd": (
        "   \\\\        __,---`  NetBSD/x86 EFI Boot (x64)\n",
        "boot: NAME=EFI System:netbsd: No such file or directory\n",
    ),
    "openbsd": (">> OpenBSD/amd64 BOOTX64 3.67\n", " failed(2). will try /bsd\n"),
}
#: What loaders print on a disk without a kernel, in pieces, and what is typed after each piece. An empty text: nothing.
NETBSD = "booting NAME=EFI System:{0} - starting in 10 seconds. \b\b\b\b\b\b\b\b\b\b\b\b9 seconds. "
CONVERSATIONS = {
    "freebsd": [
        ("Failed to find bootable partition\r\npress any key to interrupt reboot in 5 seconds...", ""),
        ("\r\nType '?' for a list of commands, 'help' for more detailed help.\r\nOK ", "lsdev\r"),
        ("lsdev\r\ndisk devices:\r\n    disk0:    32768 X 512 blocks\r\nOK ", ""),
    ],
    "netbsd": [
        (">> NetBSD/x86 EFI Boot (x64), Revision 1.1 (from NetBSD 10.0)\r\n", ""),
        ("Press return to boot now, any other key for boot menu\r\n", ""),
        (NETBSD.format("netbsd"), ""),
        ("\r\nboot: NAME=EFI System:netbsd: No such file or directory\r\n", ""),
        ("booting NAME=EFI System:netbsd.gz (howto 0x20000)\r\n", ""),
        ("boot: NAME=EFI System:netbsd.gz: No such file or directory\r\n", ""),
        (NETBSD.format("onetbsd"), " "),
        ('type "?" or "help" for help.\r\n> ', "dev\r"),
        ("dev\r\ndisk hd0 size 16 MB\r\ndefault NAME=EFI System:\r\n> ", ""),
    ],
    "openbsd": [
        ("probing: pc0 mem[640K 511M]\r\ndisk: hd0\r\n>> OpenBSD/amd64 BOOTX64 3.67\r\n", ""),
        ("boot> ", "machine diskinfo\r"),
        ("machine diskinfo\r\nDisk    Blk#    Type\r\nhd0     0x80    label\r\nboot> ", ""),
        ("\r\nbooting hd0a:/bsd: open hd0a:/bsd: No such file or directory\r\n failed(2). will try /bsd\r\n", ""),
        ("boot> ", ""),
    ],
}
#: What is printed where nothing has failed.
HARMLESS = {
    "openbsd": "cannot open hd0a:/etc/random.seed: No such file or directory\nbooting hd0a:/bsd: 3972108 [109+]\n",
    "netbsd": "booting NAME=EFI System:netbsd.gz (howto 0x20000)\n",
}


@pytest.mark.parametrize("name", PRINTED)
def test_the_patterns_match_what_the_loaders_print(name: str) -> None:
    system = load(name)
    banner, failure = PRINTED[name]
    found = re.search(system.loader_pattern, banner)
    assert found is not None
    assert found["evidence"].startswith((system.title, f">> {system.title}"))
    assert system.loader_failed_pattern is not None
    assert re.search(system.loader_failed_pattern, failure)
    assert not re.search(system.loader_failed_pattern, banner)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_keys_are_typed_where_the_loader_waits_and_never_before(name: str) -> None:
    dialogue = Dialogue()
    dialogue.type([Typed(expect, keys) for expect, keys in load(name).keys])
    typed = []
    for number, (text, _) in enumerate(CONVERSATIONS[name]):
        for character in text:  # loaders print one at a time
            dialogue.enter("BOOTX64.EFI", character, float(number))
        typed.append((text, "".join(chr(key.character) for key in dialogue.next_keys())))
    assert typed == CONVERSATIONS[name]
    assert dialogue.pending() is None


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_loader_without_a_kernel_is_seen_to_give_up(name: str) -> None:
    pattern = load(name).loader_failed_pattern
    assert pattern is not None
    text = "".join(text for text, _ in CONVERSATIONS[name]).replace("\r", "")
    assert re.search(pattern, text) is not None
    assert re.search(pattern, HARMLESS.get(name, "")) is None


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("architecture", ["amd64", "arm64", "riscv64"])
def test_every_architecture_has_a_loader_on_the_esp_and_on_the_medium(name: str, architecture: str) -> None:
    system = load(name)
    assert system.loader(architecture).startswith("/EFI/BOOT/BOOT")
    assert system.medium_loader_paths(architecture)
