"""Whether KVM runs guest code on this host: eight bytes on a virtual processor tell, where the device alone does not.

A host that is itself a paravirtualised guest can offer ``/dev/kvm``, create machines and processors, and then fail at
the first instruction its shadow emulation lacks (``fwait`` is one), after which QEMU stands still without a word.
Source: Linux, Documentation/virt/kvm/api.rst; structure sizes and numbers from linux/kvm.h of x86.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import struct
import threading

DEVICE = "/dev/kvm"
API_VERSION = 12

_GET_API_VERSION, _CREATE_VM, _GET_VCPU_MMAP_SIZE = 0xAE00, 0xAE01, 0xAE04
_CREATE_VCPU, _SET_TSS_ADDR, _RUN = 0xAE41, 0xAE47, 0xAE80
_SET_USER_MEMORY_REGION = 0x4020AE46
_GET_SREGS, _SET_SREGS, _SET_REGS = 0x8138AE83, 0x4138AE84, 0x4090AE82
_SREGS_SIZE, _REGS_SIZE, _RIP = 312, 144, 128
_EXIT_REASON, _EXIT_DATA = 8, 32  # offsets in struct kvm_run
_EXIT_IO = 2
_EXITS = {0: "unknown", 5: "HLT", 8: "shutdown", 9: "failed entry", 17: "internal error"}

_PAGE = 4096
_TSS = 0xFFFBD000
#: wait; fninit; mov al, 0x42; out 0x10, al; hlt
CODE = bytes.fromhex("9bdbe3b042e610f4")
_LIMIT = 2.0  # seconds for a millisecond's work


def problem() -> str | None:
    """Why KVM cannot be used here, in a few words, or ``None`` where it runs guest code."""
    try:
        device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return f"{DEVICE}: {error.strerror}"
    outcome: list[str | None] = []

    def attempt() -> None:
        try:
            outcome.append(_attempt(device))
        except OSError as error:
            outcome.append(f"{DEVICE}: {error.strerror}")
        finally:
            os.close(device)

    # A thread of its own: nothing ends a KVM_RUN that does not return.
    thread = threading.Thread(target=attempt, name="kvm", daemon=True)
    thread.start()
    thread.join(_LIMIT)
    return outcome[0] if outcome else f"a virtual processor did not come back within {_LIMIT:g} s"


def _attempt(device: int) -> str | None:
    version = fcntl.ioctl(device, _GET_API_VERSION, 0)
    if version != API_VERSION:
        return f"{DEVICE} speaks version {version} of its interface, not {API_VERSION}"
    machine = fcntl.ioctl(device, _CREATE_VM, 0)
    try:
        return _run(device, machine) if platform.machine() == "x86_64" else None
    finally:
        os.close(machine)


def _run(device: int, machine: int) -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    # fcntl.ioctl takes arguments of 32 bits signed, and this address is beyond them.
    if libc.ioctl(machine, ctypes.c_ulong(_SET_TSS_ADDR), ctypes.c_ulong(_TSS)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    memory = mmap.mmap(-1, _PAGE)
    memory[: len(CODE)] = CODE
    pin = ctypes.c_char.from_buffer(memory)
    processor = -1
    try:
        region = struct.pack("<IIQQQ", 0, 0, _PAGE, _PAGE, ctypes.addressof(pin))
        fcntl.ioctl(machine, _SET_USER_MEMORY_REGION, region)
        processor = fcntl.ioctl(machine, _CREATE_VCPU, 0)
        state = mmap.mmap(processor, fcntl.ioctl(device, _GET_VCPU_MMAP_SIZE, 0))
        try:
            special = bytearray(_SREGS_SIZE)
            fcntl.ioctl(processor, _GET_SREGS, special)
            struct.pack_into("<QIH", special, 0, 0, 0xFFFF, 0)  # cs: base, limit, selector
            fcntl.ioctl(processor, _SET_SREGS, bytes(special))
            registers = bytearray(_REGS_SIZE)
            struct.pack_into("<QQ", registers, _RIP, _PAGE, 2)  # rip, rflags
            fcntl.ioctl(processor, _SET_REGS, bytes(registers))
            fcntl.ioctl(processor, _RUN, 0)
            (reason,) = struct.unpack_from("<I", state, _EXIT_REASON)
            (detail,) = struct.unpack_from("<I", state, _EXIT_DATA)
        finally:
            state.close()
    finally:
        if processor >= 0:
            os.close(processor)
        del pin
        memory.close()
    if reason == _EXIT_IO:
        return None
    said = _EXITS.get(reason, f"exit {reason}")
    return f"guest code does not run here (KVM_RUN: {said}, suberror {detail})"
