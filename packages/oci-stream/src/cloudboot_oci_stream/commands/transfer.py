"""``push``, ``pull``, ``copy`` and ``inspect``."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, TypeVar

from cloudboot_base import UsageError, followed, new_file, refuse_existing
from cloudboot_base.command import notice, printable
from cloudboot_base.storage import write_all
from cloudboot_oci_stream.commands.options import (
    Meter,
    access_of,
    add_access_options,
    limit_of,
    positive,
    retry_of,
    show,
)
from cloudboot_oci_stream.commands.signing import (
    add_policy_options,
    add_signing_options,
    formats_of,
    listed_refusals,
    policy_of,
    signer_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_base.program import Program
    from cloudboot_oci_stream.download.parallel import Ranges
    from cloudboot_oci_stream.spec.descriptor import Platform

_COPY = 1 << 20
_Value = TypeVar("_Value")


def add_commands(program: Program) -> None:
    """Add the commands of this module."""
    push = program.command("push", _push, "Push a disk image.")
    push.add_argument("file", metavar="FILE", help="The disk image; - reads it from stdin.")
    push.add_argument("reference", metavar="REFERENCE", help="The image's new reference.")
    push.add_argument("--title", metavar="NAME", help="The title annotation of the layer (default: the name of FILE).")
    push.add_argument(
        "--annotation",
        type=_annotation,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="An annotation of the manifest. Can be repeated.",
    )
    push.add_argument(
        "--created",
        type=_time,
        metavar="TIME",
        help="The annotation org.opencontainers.image.created, in RFC 3339 (default: none).",
    )
    push.add_argument(
        "--chunk", type=positive, metavar="BYTES", help="Upload in requests of this size (default: one request)."
    )
    add_signing_options(push, key="--sign", prefix="sign-")
    add_access_options(push)

    pull = program.command("pull", _pull, "Fetch a disk image and verify it.")
    pull.add_argument("reference", metavar="REFERENCE", help="The image.")
    pull.add_argument("-o", "--output", metavar="FILE", help="Write the image to this file (default: only verify it).")
    pull.add_argument("--force", action="store_true", help="Replace FILE.")
    pull.add_argument(
        "--ranges",
        type=_ranges,
        default="auto",
        metavar="N",
        help="Number of parallel connections (default: auto, as many as increase the speed).",
    )
    pull.add_argument(
        "--platform", type=_platform, metavar="OS/ARCH", help="The entry of an index (default: the only one)."
    )
    add_policy_options(pull)
    add_access_options(pull)

    copy = program.command("copy", _copy, "Copy an image to another place, without a change of its digests.")
    copy.add_argument("source", metavar="SOURCE", help="The image.")
    copy.add_argument("target", metavar="TARGET", help="The image's new reference.")
    copy.add_argument(
        "--chunk", type=positive, metavar="BYTES", help="Upload in requests of this size (default: one request)."
    )
    copy.add_argument(
        "--platform", type=_platform, metavar="OS/ARCH", help="Copy only this entry of an index (default: all)."
    )
    copy.add_argument(
        "--referrers", action="store_true", help="Also copy signatures and other artifacts that refer to the image."
    )
    add_access_options(copy)

    inspect = program.command("inspect", _inspect, "Describe an image without fetching it.")
    inspect.add_argument("reference", metavar="REFERENCE", help="The image.")
    inspect.add_argument(
        "--platform", type=_platform, metavar="OS/ARCH", help="The entry of an index (default: the only one)."
    )
    add_access_options(inspect)


def _push(options: argparse.Namespace) -> int:
    from cloudboot_oci_stream.push import push_image

    limit = limit_of(options)
    annotations = dict(options.annotation)
    if len(annotations) != len(options.annotation):
        raise UsageError("an annotation is given twice")
    signer = signer_of(options, limit)
    with Meter("push") as progress:
        manifest = push_image(
            sys.stdin.fileno() if options.file == "-" else options.file,
            options.reference,
            title=options.title,
            annotations=annotations,
            created=options.created,
            chunk=options.chunk,
            access=access_of(options, limit),
            progress=progress,
            deadline=limit,
            retry=retry_of(options),
            sign=signer,
            signature_formats=formats_of(options),
        )
    facts = {"reference": options.reference, "digest": manifest.digest, "size": manifest.size}
    return show(options, facts, manifest.digest)


def _pull(options: argparse.Namespace) -> int:
    from cloudboot_oci_stream.image import fetch_image

    output, limit = options.output, limit_of(options)
    if output == "-":
        raise UsageError("an image is not written to stdout", hint="name a file; one that is called - is ./-")
    if output is not None:
        refuse_existing(followed(output), force=options.force)
    policy = policy_of(options, limit)
    start = time.monotonic()
    with Meter("pull") as progress, listed_refusals():
        image = fetch_image(
            options.reference,
            platform=options.platform,
            access=access_of(options, limit),
            progress=progress,
            deadline=limit,
            retry=retry_of(options),
            policy=policy,
            ranges=options.ranges,
        )
    with image:
        seconds = time.monotonic() - start
        if output is not None:
            # The image as it was pushed, without the padding a block device needs.
            with (
                image.view[: image.descriptor.size] as view,
                new_file(followed(output), force=options.force, durable=True) as fd,
            ):
                for offset in range(0, len(view), _COPY):
                    with view[offset : offset + _COPY] as piece:
                        write_all(fd, piece, offset)
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
        return show(options, facts, f"{image.digest}: {image.descriptor.size} bytes verified in {seconds:.2f} s")


def _copy(options: argparse.Namespace) -> int:
    from cloudboot_oci_stream.download.copy import copy_image

    limit = limit_of(options)
    with Meter("copy") as progress:
        copied = copy_image(
            options.source,
            options.target,
            platform=options.platform,
            access=access_of(options, limit),
            referrers=options.referrers,
            chunk=options.chunk,
            progress=progress,
            deadline=limit,
            retry=retry_of(options),
        )
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
    text = f"{copied.sent} bytes sent, {copied.mounted} mounted, {copied.present} there already"
    if options.referrers:
        text += f", {copied.referrers} referrer{'' if copied.referrers == 1 else 's'}"
    for digest, reason in copied.left:
        notice("cloudboot-oci-stream", printable(f"left behind: {digest}: {reason}"))
    return show(options, facts, f"{copied.descriptor.digest}: {text}")


def _inspect(options: argparse.Namespace) -> int:
    from cloudboot_oci_stream.image import resolve
    from cloudboot_oci_stream.stores.factory import open_store

    limit = limit_of(options)
    store = open_store(options.reference, access_of(options, limit))
    document, manifest, layer = resolve(store, platform=options.platform, deadline=limit, retry=retry_of(options))
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
    return show(options, facts, "\n".join(map(printable, lines)))


def _annotation(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _time(text: str) -> str:
    from cloudboot_oci_stream.spec.descriptor import check_time

    return _checked(check_time, text)


def _platform(text: str) -> Platform:
    from cloudboot_oci_stream.spec.descriptor import Platform

    return _checked(Platform.parse, text)


def _checked(read: Callable[[str], _Value], text: str) -> _Value:
    """What ``read`` makes of an argument, its errors as those of the command line."""
    from cloudboot_oci_stream.errors import DescriptorError

    try:
        return read(text)
    except DescriptorError as error:
        raise argparse.ArgumentTypeError(error.reason) from None


def _ranges(text: str) -> Ranges:
    from cloudboot_oci_stream.download.parallel import MOST_RANGES

    if text == "auto":
        return "auto"
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:9]) <= MOST_RANGES:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'auto' nor 1 to {MOST_RANGES}")
    return int(text)
