"""``python -m cloudboot_oci_stream``: push, pull, copy, inspect, sign and verify disk images.

stdout carries the result, stderr the story. Exit codes:

    0  done                                   6  no such image
    2  wrong usage, or no reference           7  not authorised
    3  content that is not what it should be  8  the registry refuses, or breaks the protocol
    4  no room                                9  too many requests
    5  the operating system refused          10  no connection
    13  signatures do not satisfy the policy 11  timeout
    14  a service of Sigstore failed         130  interrupted
"""

from __future__ import annotations

import argparse
import getpass
import math
import os
import sys
import time
import traceback
from typing import TYPE_CHECKING

from cloudboot_base import Error, UsageError
from cloudboot_base.command import print_json, printable

from . import copy_image, fetch_image, login, logout, open_store, push_image, resolve, sign_image, verify_signature
from .access import Access
from .descriptor import Platform
from .errors import UntrustedError
from .files import check_target, new_file, write_all
from .inputs import read_line
from .lanes import MOST_RANGES
from .retry import Resume
from .signature_command import (
    add_policy_options,
    add_rule_options,
    add_signing_options,
    described,
    formats_of,
    needed_signer,
    policy_of,
    rule_of,
    signer_of,
)
from .timing import Deadline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .lanes import Ranges

_SYSTEM, _INTERRUPTED = 5, 130
_COPY = 1 << 20


class _Progress:
    """A line on a terminal with amount, rate and time left; silent where stderr is none."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown = sys.stderr.isatty()
        self._start = self._next = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._shown or (now < self._next and done != total):
            return
        self._next = now + 0.1
        rate = done / max(now - self._start, 1e-6)
        left = f", {(total - done) / rate:.0f} s left" if rate else ""
        percent = 100 * done // max(total, 1)
        sys.stderr.write(
            f"\r\x1b[K{self._label}: {_mib(done)} of {_mib(total)} MiB ({percent} %), {_mib(rate)} MiB/s{left}"
        )
        sys.stderr.flush()

    def close(self) -> None:
        """Remove the line."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _mib(count: float) -> str:
    return f"{count / (1 << 20):.1f}"


def _access(options: argparse.Namespace, password: str | None = None) -> Access:
    if password is None and options.password_stdin:
        password = read_line(sys.stdin.fileno(), options.limit)
    return Access(
        insecure=True if options.insecure else None,
        username=options.username,
        password=password,
        auth_file=options.auth_file,
        ca_file=options.ca_file,
        client_certificate=options.client_certificate,
        client_key=options.client_key,
        token_hosts=options.token_host,
        **({"stall": options.stall} if options.stall else {}),
    )


def _resume(options: argparse.Namespace) -> Resume:
    return Resume() if options.retries is None else Resume(attempts=options.retries)


def _push(options: argparse.Namespace) -> None:
    signer = signer_of(options)
    progress = _Progress("push")
    try:
        manifest = push_image(
            sys.stdin.fileno() if options.file == "-" else options.file,
            options.reference,
            title=options.title,
            annotations=dict(options.annotation),
            created=options.created,
            chunk=options.chunk,
            access=_access(options),
            progress=progress,
            deadline=options.limit,
            resume=_resume(options),
            sign=signer,
            signature_formats=formats_of(options),
        )
    finally:
        progress.close()
    _print(options, {"reference": options.reference, "digest": manifest.digest, "size": manifest.size}, manifest.digest)


def _pull(options: argparse.Namespace) -> None:
    output = options.output
    if output is not None:
        check_target(output, force=options.force)
    policy = policy_of(options)
    progress = _Progress("pull")
    start = time.monotonic()
    try:
        image = fetch_image(
            options.reference,
            platform=options.platform,
            access=_access(options),
            progress=progress,
            deadline=options.limit,
            resume=_resume(options),
            policy=policy,
            ranges=options.ranges,
        )
    finally:
        progress.close()
    with image:
        seconds = time.monotonic() - start
        if output is not None:
            # The image as it was pushed, without the padding a block device needs.
            with (
                image.view[: image.descriptor.size] as view,
                new_file(os.path.dirname(output) or ".", durable=True, replace=options.force) as new,
            ):
                for offset in range(0, len(view), _COPY):
                    with view[offset : offset + _COPY] as piece:
                        write_all(new.fd, piece, offset)
                new.name = output
        facts: dict[str, object] = {
            "reference": str(image.reference),
            "manifest": image.digest,
            "layer": image.descriptor.as_json(),
            "annotations": dict(image.manifest.annotations),
            "output": output,
            "seconds": round(seconds, 3),
        }
        if image.verification is not None:
            facts["verification"] = image.verification.as_dict()
        _print(options, facts, f"{image.digest}: {image.descriptor.size} bytes verified in {seconds:.2f} s")


def _copy(options: argparse.Namespace) -> None:
    progress = _Progress("copy")
    access = _access(options)
    try:
        copied = copy_image(
            options.source,
            options.target,
            platform=options.platform,
            access=access,
            referrers=options.referrers,
            chunk=options.chunk,
            progress=progress,
            deadline=options.limit,
            resume=_resume(options),
        )
    finally:
        progress.close()
    facts = {
        "source": options.source,
        "target": options.target,
        "digest": copied.descriptor.digest,
        "media_type": copied.descriptor.media_type,
        "sent": copied.sent,
        "mounted": copied.mounted,
        "present": copied.present,
        "referrers": copied.referrers,
        "left": [{"digest": digest, "reason": reason} for digest, reason in copied.left],
    }
    story = f"{copied.sent} bytes sent, {copied.mounted} mounted, {copied.present} there already"
    if options.referrers:
        story += f", {copied.referrers} referrers"
    for digest, reason in copied.left:
        print(f"cloudboot-oci-stream: notice: left behind: {digest}: {printable(reason)}", file=sys.stderr)
    _print(options, facts, f"{copied.descriptor.digest}: {story}")


def _inspect(options: argparse.Namespace) -> None:
    platform = Platform.parse(options.platform) if options.platform else None
    store = open_store(options.reference, _access(options))
    document, manifest, layer = resolve(store, platform=platform, deadline=options.limit, resume=_resume(options))
    facts = {
        "reference": options.reference,
        "manifest": document.digest,
        "media_type": document.media_type,
        "artifact_type": manifest.artifact_type,
        "annotations": dict(manifest.annotations),
        "layer": layer.as_json(),
    }
    lines = [f"manifest  {document.digest}", f"artifact  {manifest.artifact_type}", f"layer     {layer.digest}"]
    lines += [f"size      {layer.size}"] + [f"{name} = {value}" for name, value in sorted(manifest.annotations.items())]
    _print(options, facts, "\n".join(map(printable, lines)))


def _verify(options: argparse.Namespace) -> None:
    found = verify_signature(
        options.reference,
        rule_of(options),
        access=_access(options),
        deadline=options.limit,
        resume=_resume(options),
    )
    _print(options, found.as_dict(), "\n".join(map(printable, described(found))))


def _sign(options: argparse.Namespace) -> None:
    signed = sign_image(
        options.reference,
        needed_signer(options),
        formats=formats_of(options),
        name=options.name,
        access=_access(options),
        deadline=options.limit,
        resume=_resume(options),
    )
    _print(options, signed.as_dict(), "\n".join(artifact.digest for artifact in signed.artifacts))


def _login(options: argparse.Namespace) -> None:
    username, password = options.username, None
    if options.password_stdin:
        password = read_line(sys.stdin.fileno(), options.limit)
    elif sys.stdin.isatty():
        username = username or input("user name: ")
        password = getpass.getpass("password: ")
    if not username or not password:
        raise UsageError("no user name or no password is given", hint="give --username NAME --password-stdin")
    place = login(options.host, username, password, access=_access(options, password), deadline=options.limit)
    _print(options, {"host": options.host, "username": username, "kept_in": place}, f"logged in; kept in {place}")


def _logout(options: argparse.Namespace) -> None:
    places = logout(options.host, access=_access(options), deadline=options.limit)
    _print(options, {"host": options.host, "removed_from": places}, f"removed from {', '.join(places)}")


def _print(options: argparse.Namespace, facts: dict[str, object], text: str) -> None:
    if options.json:
        print_json(facts)
    else:
        print(text)


def _annotation(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no time to wait")
    return seconds


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return int(text)


def _ranges(text: str) -> Ranges:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or not 1 <= int(text) <= MOST_RANGES:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'auto' nor 1 to {MOST_RANGES}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cloudboot_oci_stream",
        description="Push disk images to OCI registries and folders, fetch them back verified, and copy them.",
        epilog="A reference is HOST[:PORT]/REPOSITORY[:TAG][@DIGEST] or oci:FOLDER[:TAG][@DIGEST].",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    common.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an error")
    common.add_argument("--insecure", action="store_true", help="plain HTTP, to any machine")
    common.add_argument("--username", help="user name; else what docker or podman logged in with")
    common.add_argument("--password-stdin", action="store_true", help="read the password from stdin")
    common.add_argument(
        "--auth-file", metavar="FILE", help="credentials file to use instead of those of docker and podman"
    )
    common.add_argument("--ca-file", metavar="FILE", help="certificate authorities to trust besides the system's")
    common.add_argument("--client-certificate", metavar="FILE", help="certificate to show the registry")
    common.add_argument("--client-key", metavar="FILE", help="its key, where it is in a file of its own")
    common.add_argument(
        "--token-host",
        metavar="HOST",
        action="append",
        default=[],
        help="token service that may be given the credentials, where it is not the registry itself; repeatable",
    )
    common.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="give up after so long")
    common.add_argument(
        "--stall",
        type=_seconds,
        metavar="SECONDS",
        help="give a connection up after so long without a byte (default: 30)",
    )
    common.add_argument(
        "--retries", type=_count, metavar="N", help="try again so often in a row without progress (default: 8)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    push = commands.add_parser("push", parents=[common], help="push a disk image")
    push.add_argument("file", metavar="FILE", help="the disk image; - reads it from stdin")
    push.add_argument("reference", metavar="REFERENCE")
    push.add_argument("--title", help="the file name others see (default: FILE's own)")
    push.add_argument(
        "--annotation",
        type=_annotation,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="for the manifest; repeatable",
    )
    push.add_argument("--created", metavar="TIME", help="RFC 3339 time to write down (default: none)")
    push.add_argument("--chunk", type=_positive, metavar="BYTES", help="upload in requests of this size")
    add_signing_options(push, key="--sign", prefix="sign-")
    push.set_defaults(main=_push)

    pull = commands.add_parser("pull", parents=[common], help="fetch and verify a disk image")
    pull.add_argument("reference", metavar="REFERENCE")
    pull.add_argument("-o", "--output", metavar="FILE", help="write it here (default: only verify)")
    pull.add_argument("--force", action="store_true", help="replace FILE")
    pull.add_argument(
        "--ranges", type=_ranges, default="auto", metavar="N", help="connections at once (default: as many as pay)"
    )
    pull.add_argument("--platform", metavar="OS/ARCH", help="which entry of an index")
    add_policy_options(pull)
    pull.set_defaults(main=_pull)

    inspect = commands.add_parser("inspect", parents=[common], help="describe an image without fetching it")
    inspect.add_argument("reference", metavar="REFERENCE")
    inspect.add_argument("--platform", metavar="OS/ARCH", help="which entry of an index")
    inspect.set_defaults(main=_inspect)

    copy = commands.add_parser("copy", parents=[common], help="copy an image to another place, digests unchanged")
    copy.add_argument("source", metavar="SOURCE")
    copy.add_argument("target", metavar="TARGET")
    copy.add_argument("--chunk", type=_positive, metavar="BYTES", help="upload in requests of this size")
    copy.add_argument("--platform", metavar="OS/ARCH", help="of an index, only the manifest for this")
    copy.add_argument("--referrers", action="store_true", help="signatures and whatever else refers to it, too")
    copy.set_defaults(main=_copy)

    verify = commands.add_parser("verify", parents=[common], help="verify an image's signatures without fetching it")
    verify.add_argument("reference", metavar="REFERENCE")
    add_policy_options(verify)
    add_rule_options(verify)
    verify.set_defaults(main=_verify)

    enter = commands.add_parser("login", parents=[common], help="try credentials at a registry, and keep them")
    enter.add_argument("host", metavar="HOST", help="the registry: HOST[:PORT]")
    enter.set_defaults(main=_login)

    leave = commands.add_parser("logout", parents=[common], help="forget what is kept for a registry")
    leave.add_argument("host", metavar="HOST", help="the registry: HOST[:PORT]")
    leave.set_defaults(main=_logout)

    sign = commands.add_parser("sign", parents=[common], help="sign an image that was pushed")
    sign.add_argument("reference", metavar="REFERENCE")
    sign.add_argument("--name", help="the repository that the signature names (default: the image's own)")
    add_signing_options(sign, key="--key")
    sign.set_defaults(main=_sign)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    options = _parser().parse_args(arguments)
    options.limit = Deadline(options.timeout)
    try:
        options.main(options)
    except Error as error:
        if options.verbose:
            traceback.print_exc()
        if options.json:
            print_json(error.as_dict())
        print(f"cloudboot-oci-stream: error: {error}", file=sys.stderr)
        if error.hint:
            print(f"cloudboot-oci-stream: hint: {printable(error.hint)}", file=sys.stderr)
        for refusal in error.refusals if isinstance(error, UntrustedError) else ():
            print(f"cloudboot-oci-stream: refused: {refusal}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if options.verbose:
            traceback.print_exc()
        where = f"{error.filename}: " if error.filename else ""
        print(f"cloudboot-oci-stream: error: {where}{error.strerror or error}", file=sys.stderr)
        return _SYSTEM
    except KeyboardInterrupt:
        print("cloudboot-oci-stream: interrupted", file=sys.stderr)
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
