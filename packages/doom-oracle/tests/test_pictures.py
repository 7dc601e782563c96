"""The statistics of screendumps and the picture of ``diff``, with netpbm as the judge."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cloudboot_base.testing import judge, run
from cloudboot_doom_oracle import Oracle, Wad, read_oracle
from cloudboot_doom_oracle.commands.main import main
from cloudboot_doom_oracle.oracle.files import ppm_bytes

Colour = tuple[int, int, int]


def colours_by_netpbm(picture: Path) -> Counter[Colour]:
    """How many pixels have each colour."""
    rows = [line.split() for line in run(judge("ppmhist", "netpbm"), "-noheader", picture).splitlines()]
    return Counter({(int(row[0]), int(row[1]), int(row[2])): int(row[4]) for row in rows})


def screendump(path: Path, canvas: np.ndarray) -> Path:
    """The canvas on a display that is white around it."""
    whole = np.full((800, 1280, 3), 255, np.uint8)
    whole[300:500, 480:800] = canvas
    path.write_bytes(ppm_bytes(whole))
    return path


def test_the_statistics_are_those_that_netpbm_counts(
    oracle: Oracle, wad: Wad, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [oracle.folder / point.frame_ppm for point in oracle.manifest.checkpoints]
    noise, black = tmp_path / "noise.ppm", tmp_path / "black.ppm"
    noise.write_bytes(ppm_bytes(np.random.default_rng(3).integers(0, 256, (200, 320, 3), dtype=np.uint8)))
    black.write_bytes(ppm_bytes(np.zeros((200, 320, 3), np.uint8)))
    whole = screendump(tmp_path / "whole.ppm", oracle.picture(oracle.manifest.checkpoints[0]))
    words = ["canvas", *map(str, [*own, noise, black, whole]), "--wad", str(wad.path)]
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["picture"] for row in rows] == words[1:-2]
    playpal = wad.lump("PLAYPAL")
    palettes = {tuple(playpal[at : at + 3]) for at in range(0, len(playpal), 3)}
    for row in rows[:-1]:
        counts = colours_by_netpbm(Path(row["picture"]))
        shown = sum(count for colour, count in counts.items() if colour in palettes)
        del counts[0, 0, 0]
        assert (row["nonblack"], row["colours"]) == (counts.total(), len(counts))
        assert row["top_count"] == max(counts.values(), default=0)
        assert row["top"] is None or counts[tuple(row["top"])] == row["top_count"]
        # The gamma tables that count as well add colours, so noise has somewhat more of them.
        assert shown / 64_000 <= row["signature"] <= 3 * shown / 64_000
    assert {row["signature"] for row in rows[: len(own)]} == {1.0}
    assert {**rows[-1], "picture": rows[0]["picture"]} == rows[0]  # the canvas of a display alone counts
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [[str(row["nonblack"]), str(row["colours"])] for row in rows]
    assert all(line.endswith(name) for line, name in zip(lines, words[1:], strict=False))


def test_input_verify_has_the_statistics_of_each_moment(
    oracle: Oracle, wad: Wad, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    title, played = (oracle.picture(oracle.manifest.checkpoints[at]) for at in (0, -1))
    shown = {"baseline": {1: title, 2: title}, "keypress": {1: title, 2: played}}
    for side, pictures in shown.items():
        (tmp_path / side).mkdir()
        for second, canvas in pictures.items():
            screendump(tmp_path / side / f"t{second}.ppm", canvas)
    words = ["input", "verify", "--seconds", "1,2", "--wad", str(wad.path)]
    words += [word for side in shown for word in (f"--{side}", str(tmp_path / side))]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["statistics"]
    for at, side in enumerate(shown):
        for second, canvas in shown[side].items():
            (tmp_path / "canvas.ppm").write_bytes(ppm_bytes(canvas))
            counts = colours_by_netpbm(tmp_path / "canvas.ppm")
            del counts[0, 0, 0]
            found = told[str(second)][at]
            assert (found["nonblack"], found["colours"], found["signature"]) == (counts.total(), len(counts), 1.0)
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("  ")[2] for line in lines[1:3]] == ["t1 baseline", "t1 keypress"]


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of each chunk of a PNG; their checksums are right."""
    at, found = 8, []
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(kind + content),)
        found.append((kind, content))
        at += 12 + size
    return found


def frames_by_netpbm(data: bytes) -> list[np.ndarray]:
    """The frames of an animated PNG: each as a PNG of its own, of which netpbm reads the pixels."""
    chunks = chunks_of(data)
    pixels = [content[4 * (kind == b"fdAT") :] for kind, content in chunks if kind in {b"IDAT", b"fdAT"}]
    frames = []
    for content in pixels:
        png = data[:8]
        for kind, body in (chunks[0], (b"IDAT", content), (b"IEND", b"")):
            png += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        done = subprocess.run([judge("pngtopnm", "netpbm")], input=png, stdout=subprocess.PIPE, check=True)
        head, body = done.stdout[:15], done.stdout[15:]
        if head[:2] == b"P6":
            frames.append(np.frombuffer(body, np.uint8).reshape(200, 320, 3))
        else:  # a picture of greys alone is a PGM, one of black and white alone a PBM
            plain = subprocess.run(
                [judge("pnmtoplainpnm", "netpbm")], input=done.stdout, stdout=subprocess.PIPE, check=True
            ).stdout.split()
            values = np.array(list("".join(map(bytes.decode, plain[3:])))).reshape(200, 320) == "0"
            assert plain[0] == b"P1"
            frames.append(np.repeat(np.where(values, 255, 0).astype(np.uint8)[:, :, None], 3, axis=2))
    return frames


def test_diff_draws_the_first_checkpoint_that_differs(
    oracle: Oracle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, picture = tmp_path / "other", tmp_path / "difference.png"
    shutil.copytree(oracle.folder, other)
    # The other run shows at tic 70 what this one shows at its last checkpoint.
    points = json.loads((other / "manifest.json").read_text())["checkpoints"]
    frames = json.loads((other / "frames.json").read_text())
    facts = json.loads((other / "manifest.json").read_text())
    facts["checkpoints"][2]["frame_hash"] = points[-1]["frame_hash"]
    frames[points[2]["frame_count"] - 1][1] = points[-1]["frame_hash"]
    (other / "manifest.json").write_text(json.dumps(facts))
    (other / "frames.json").write_text(json.dumps(frames))
    shutil.copy(other / points[-1]["frame_ppm"], other / points[2]["frame_ppm"])
    words = ["diff", str(oracle.folder), str(other), "--picture", str(picture)]
    assert main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["picture"] == {"file": str(picture), "tic": 70}
    ours, theirs = (each.picture(each.manifest.checkpoints[2]) for each in (oracle, read_oracle(other)))
    shown = frames_by_netpbm(picture.read_bytes())
    assert len(shown) == 3
    assert (shown[0] == ours).all()
    assert (shown[1] == theirs).all()
    assert ((shown[2] == 255) == (ours != theirs).any(axis=2)[:, :, None]).all()
    assert sum(kind == b"fcTL" for kind, _ in chunks_of(picture.read_bytes())) == 3
    assert main(words) == 1
    assert f"{picture}: oracle, other and difference at tic 70" in capsys.readouterr().out


def test_diff_says_why_there_is_no_picture(oracle: Oracle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other, picture = tmp_path / "other", tmp_path / "difference.png"
    shutil.copytree(oracle.folder, other)
    words = ["diff", str(oracle.folder), str(other), "--picture", str(picture)]
    assert main(words) == 0
    frames = json.loads((other / "frames.json").read_text())
    frames[80][1] = "0" * 64
    (other / "frames.json").write_text(json.dumps(frames))
    assert main(words) == 1
    assert f"add-checkpoint ORACLE {frames[80][0]} adds one" in capsys.readouterr().out
    assert not picture.exists()
