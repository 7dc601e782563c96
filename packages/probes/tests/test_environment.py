"""Options of ``cloudboot`` come from the environment, too: flags win, and a bad value names its variable."""

import json
from pathlib import Path

import pytest

from cloudboot_base import UsageError
from cloudboot_oci_stream import push_image
from cloudboot_probes.cli.commands import ENVIRONMENT, ROOT, Command, Group
from cloudboot_probes.cli.dispatch import run
from cloudboot_probes.demo import build


def words(command: str, environment: dict[str, str], *given: str) -> list[str]:
    """The words that variables add to a command line."""
    found: Command | Group = ROOT
    for name in command.split():
        assert isinstance(found, Group)
        found = found.commands[name]
    assert isinstance(found, Command)
    return found.parser(command).from_environment(ENVIRONMENT, environment, given)


def test_a_variable_is_an_option_that_a_flag_replaces() -> None:
    environment = {"CLOUDBOOT_MEMORY": "2G", "CLOUDBOOT_FIRMWARE": "hosted", "MEMORY": "1"}
    assert words("probe", environment) == ["--firmware=hosted", "--memory=2G"]
    assert words("probe", environment, "--firmware", "qemu") == ["--memory=2G"]
    assert words("probe", environment, "--memory=4G", "--", "--firmware") == ["--firmware=hosted"]
    assert words("probe", {"CLOUDBOOT_MEMORY": ""}) == []


def test_switches_and_repeated_options() -> None:
    assert words("probe", {"CLOUDBOOT_INSECURE": "1", "CLOUDBOOT_VERBOSE": "no"}) == ["--insecure"]
    assert words("probe", {"CLOUDBOOT_VERBOSE": "true"}, "-v") == []
    files = {"CLOUDBOOT_ESP_FILE": "/a=x '/b c=y z'"}
    assert words("image build", files) == ["--esp-file=/a=x", "--esp-file=/b c=y z"]


@pytest.mark.parametrize(
    ("command", "variable", "value"),
    [
        ("probe", "CLOUDBOOT_MEMORY", "much"),
        ("probe", "CLOUDBOOT_ARCHITECTURE", "sparc"),
        ("probe", "CLOUDBOOT_TIMEOUT", "-3"),
        ("probe", "CLOUDBOOT_INSECURE", "perhaps"),
        ("image build", "CLOUDBOOT_ESP_FILE", "'unfinished"),
    ],
)
def test_a_bad_value_names_its_variable(command: str, variable: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"^{variable}={value}: "):
        words(command, {variable: value})
    assert words(command, {variable: value}, "--help") == []


def test_a_probe_takes_its_options_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = f"oci:{tmp_path / 'store'}:demo"
    push_image(build("arm64", tmp_path), reference)
    record = tmp_path / "record.json"
    monkeypatch.setenv("CLOUDBOOT_ARCHITECTURE", "arm64")
    monkeypatch.setenv("CLOUDBOOT_RECORD", str(record))
    monkeypatch.setenv("CLOUDBOOT_JSON", "1")
    capsys.readouterr()
    assert run(["probe", "demo", reference]) == 0
    assert json.loads(record.read_text())["run"]["architecture"] == "arm64"
    assert json.loads(capsys.readouterr().out.splitlines()[0])["gate"] == "resolve"
    monkeypatch.setenv("CLOUDBOOT_ARCHITECTURE", "vax")
    assert run(["probe", "demo", reference]) == 2
    assert "CLOUDBOOT_ARCHITECTURE=vax" in capsys.readouterr().err
