"""What importing the package brings along, and what it does not."""

from cloudboot_base.testing import loaded_modules

HEAVY = {"numpy", "construct", "argparse", "hashlib", "json", "email", "ssl", "dataclasses", "inspect"}


def test_the_library_is_light() -> None:
    assert not HEAVY & loaded_modules("import cloudboot_gpt")
