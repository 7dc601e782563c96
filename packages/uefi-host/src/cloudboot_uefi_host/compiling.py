"""Freestanding C programs as PE32+ images, compiled with Debian's compilers for four processors.

The C header is written from the declarations of cloudboot_uefi_abi, so a program calls services at the offsets that the
codec states.
"""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.constants import SectionFlag, Subsystem
from cloudboot_uefi_abi.declarations import Kind
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import (
    IMAGE_DATA_DIRECTORY,
    IMAGE_DOS_HEADER,
    IMAGE_FILE_HEADER,
    IMAGE_OPTIONAL_HEADER64,
    IMAGE_SECTION_HEADER,
)
from cloudboot_uefi_abi.protocols import PROTOCOLS
from cloudboot_uefi_abi.tables import EFI_BOOT_SERVICES, EFI_RUNTIME_SERVICES, EFI_SYSTEM_TABLE

from .cpu.architecture import architecture_of
from .errors import HostError

if TYPE_CHECKING:
    from cloudboot_uefi_abi.declarations import Member, Structure, Type

# Loops that set memory stay loops: this package's own memset would call itself.
_GCC: Final = ("-fno-tree-loop-distribute-patterns",)
COMPILERS: Final = {
    "amd64": ("gcc", "objcopy", "gcc", (*_GCC, "-mno-red-zone", "-mgeneral-regs-only")),
    "arm64": (
        "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objcopy", "gcc-aarch64-linux-gnu", (*_GCC, "-mgeneral-regs-only"),
    ),
    "riscv64": (
        "riscv64-linux-gnu-gcc", "riscv64-linux-gnu-objcopy", "gcc-riscv64-linux-gnu", (*_GCC, "-mno-relax"),
    ),
    # Debian 12 has no gcc for it.
    "loong64": (
        "clang-19", "objcopy", "clang-19",
        (
            "--target=loongarch64-linux-gnu", "-fuse-ld=lld-19", "-mno-relax", "-Wno-ignored-optimization-argument",
            "-Wno-unused-command-line-argument",
        ),
    ),
}  # fmt: skip
"""Compiler, objcopy, the Debian package, and options of the processor."""
_OPTIONS: Final = (
    "-std=gnu11", "-Os", "-ffreestanding", "-fpie", "-fno-stack-protector", "-fno-asynchronous-unwind-tables",
    "-fno-builtin", "-fno-jump-tables", "-fvisibility=hidden", "-fcf-protection=none", "-Wall", "-Wextra", "-Werror",
    "-nostdlib", "-static", "-ffunction-sections", "-Wl,--gc-sections",
    "-Wl,--build-id=none", "-Wl,--no-dynamic-linker", "-Wl,-z,norelro",
)  # fmt: skip
_ALIGNMENT: Final = 0x1000
_FILE_ALIGNMENT: Final = 0x200
_SCRIPT: Final = """
ENTRY(efi_main)
SECTIONS {
  . = 0x1000;
  .text : { *(.text.entry) *(.text*) *(.rodata*) *(.data*) *(.sdata*) *(.srodata*) . = ALIGN(16); }
  .bss : { *(.sbss*) *(.bss*) *(COMMON) . = ALIGN(4096); }
  /DISCARD/ : { *(.comment) *(.note*) *(.eh_frame*) *(.riscv.attributes) *(.ARM.attributes) }
}
"""
# What compilers call without being told to.
_MEMORY_FUNCTIONS: Final = """
__attribute__((weak)) void *memset(void *to, int value, __SIZE_TYPE__ size) {
  for (__SIZE_TYPE__ i = 0; i < size; i++) ((unsigned char *)to)[i] = value;
  return to;
}
__attribute__((weak)) void *memcpy(void *to, const void *from, __SIZE_TYPE__ size) {
  for (__SIZE_TYPE__ i = 0; i < size; i++) ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
  return to;
}
"""
_WIDTHS: Final = {0: "void", 1: "uint8_t", 2: "uint16_t", 4: "uint32_t", 8: "uint64_t"}
_EXECUTABLE, _LARGE_ADDRESS_AWARE = 0x0002, 0x0020


class CompilerError(HostError):
    """A compiler is not installed, or refused a program."""


def _c_type(kind: Type) -> str:
    if kind.kind in {Kind.POINTER, Kind.FUNCTION, Kind.HANDLE}:
        return "void *"
    width = _WIDTHS[kind.size]
    return width.replace("uint", "int") if kind.kind is Kind.SIGNED else width


def _c_member(member: Member) -> str:
    if member.prototype is not None:
        arguments = [_c_type(argument.type) for argument in member.prototype.arguments]
        if member.prototype.variadic:
            arguments.append("...")
        return f"{_c_type(member.prototype.returns)} (EFIAPI *{member.name})({', '.join(arguments) or 'void'});"
    if member.type.kind is Kind.RECORD or member.count is not None:
        return f"uint8_t {member.name}[{member.size}] __attribute__((aligned({member.type.alignment})));"
    return f"{_c_type(member.type)} {member.name};"


def _c_structure(structure: Structure) -> str:
    members = "\n  ".join(map(_c_member, structure.members))
    name = structure.name
    checks = "".join(
        f'_Static_assert(__builtin_offsetof({name}, {member.name}) == {member.offset}, "{member.name}");\n'
        for member in structure.members
    )
    return f"typedef struct {{\n  {members}\n}} {name};\n{checks}"


def header() -> str:
    """The C header: tables, protocols and the GUIDs of the protocols, from cloudboot_uefi_abi."""
    guids = "\n".join(
        f"#define {name}_GUID {{{', '.join(f'{byte:#04x}' for byte in guid.bytes_le)}}}"
        for name, guid in GUIDS.items()
        if name.startswith(("EFI_", "LINUX_"))
    )
    return "\n".join(
        (
            "typedef __UINT8_TYPE__ uint8_t; typedef __UINT16_TYPE__ uint16_t; typedef __UINT32_TYPE__ uint32_t;",
            "typedef __UINT64_TYPE__ uint64_t; typedef __INT64_TYPE__ int64_t; typedef __INT32_TYPE__ int32_t;",
            "typedef __INT16_TYPE__ int16_t; typedef __INT8_TYPE__ int8_t;",
            "#ifdef __x86_64__\n#define EFIAPI __attribute__((ms_abi))\n#else\n#define EFIAPI\n#endif",
            '#define EFI_ENTRY __attribute__((section(".text.entry"), used)) EFIAPI',
            _MEMORY_FUNCTIONS,
            guids,
            *map(_c_structure, (*PROTOCOLS.values(), EFI_BOOT_SERVICES, EFI_RUNTIME_SERVICES, EFI_SYSTEM_TABLE)),
        )
    )


def compile_program(architecture: str, source: Path) -> bytes:
    """Compile a C file whose entry point is ``uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table)``.

    The file includes ``<efi.h>``, and can include what is beside it. It is compiled as one position-independent piece
    without relocations: it must not initialise static data with addresses.

    Raises:
        CompilerError: the compiler is not installed, or refuses the program.
    """
    compiler, objcopy, package, options = COMPILERS[architecture]
    with tempfile.TemporaryDirectory(prefix="cloudboot-cc-") as name:
        folder = Path(name)
        (folder / "efi.h").write_text(header())
        (folder / "link.ld").write_text(_SCRIPT)
        elf, flat = folder / "program.elf", folder / "program.bin"
        prefix = f"-ffile-prefix-map={source.parent}=."
        places = (f"-I{folder}", f"-I{source.parent}", "-T", folder / "link.ld")
        _run([compiler, *_OPTIONS, *options, prefix, *places, "-o", elf, source], package)
        relocations = [".rela.dyn", ".rel.dyn", ".got", ".got.plt"]
        removed = [word for section in relocations for word in ("-R", section)]
        _run([objcopy, "-I", "elf64-little", "-O", "binary", *removed, elf, flat], package)
        return pe_image(architecture, flat.read_bytes(), _bss_size(elf))


def _run(command: list[str | os.PathLike[str]], package: str) -> None:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as error:
        raise CompilerError(f"{command[0]} is not installed", hint=f"apt-get install {package}") from error
    if done.returncode:
        raise CompilerError(f"{os.fspath(command[0])} failed: {done.stderr.strip()}")


def _bss_size(elf: Path) -> int:
    """Bytes between the end of the file's content and the end of the memory of the ELF's loaded segments."""
    data = elf.read_bytes()
    offset, size, count = (
        int.from_bytes(data[32:40], "little"), *struct.unpack_from("<HH", data, 54),
    )  # fmt: skip
    extra = 0
    for index in range(count):
        kind, _flags, _file, _va, _pa, in_file, in_memory = struct.unpack_from("<IIQQQQQ", data, offset + index * size)
        if kind == 1:
            extra += in_memory - in_file
    return extra


def pe_image(
    architecture: str,
    code: bytes,
    zeroed: int = 0,
    *,
    subsystem: Subsystem = Subsystem.EFI_APPLICATION,
    entry: int = _ALIGNMENT,
) -> bytes:
    """A PE32+ image of one section at RVA 0x1000: ``code``, then ``zeroed`` bytes of zeros. It needs no relocations."""
    raw = code.ljust(-(-len(code) // _FILE_ALIGNMENT) * _FILE_ALIGNMENT, b"\0")
    in_memory = len(code) + zeroed
    size = _ALIGNMENT + -(-in_memory // _ALIGNMENT) * _ALIGNMENT
    directories = IMAGE_DATA_DIRECTORY().pack() * 16
    parts = [
        IMAGE_DOS_HEADER(e_magic=b"MZ", e_stub=bytes(58), e_lfanew=64).pack(),
        b"PE\0\0",
        IMAGE_FILE_HEADER(
            Machine=architecture_of(architecture).machine,
            NumberOfSections=1,
            SizeOfOptionalHeader=IMAGE_OPTIONAL_HEADER64.SIZE + len(directories),
            Characteristics=_EXECUTABLE | _LARGE_ADDRESS_AWARE,
        ).pack(),
        IMAGE_OPTIONAL_HEADER64(
            Magic=0x20B,
            SizeOfCode=len(raw),
            AddressOfEntryPoint=entry,
            BaseOfCode=_ALIGNMENT,
            SectionAlignment=_ALIGNMENT,
            FileAlignment=_FILE_ALIGNMENT,
            SizeOfImage=size,
            SizeOfHeaders=_FILE_ALIGNMENT,
            Subsystem=subsystem,
            NumberOfRvaAndSizes=16,
        ).pack(),
        directories,
        IMAGE_SECTION_HEADER(
            Name=b".text\0\0\0",
            VirtualSize=in_memory,
            VirtualAddress=_ALIGNMENT,
            SizeOfRawData=len(raw),
            PointerToRawData=_FILE_ALIGNMENT,
            Characteristics=SectionFlag.CODE | SectionFlag.EXECUTE | SectionFlag.READ | SectionFlag.WRITE,
        ).pack(),
    ]
    return b"".join(parts).ljust(_FILE_ALIGNMENT, b"\0") + raw
