"""Sessions per package. Each installs only the package under test and what it declares, so a missing range shows."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent
PINS = ROOT / "requirements" / "dev.txt"
MANIFESTS = {
    path.parent.name: tomllib.loads(path.read_text()) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
}
PACKAGES = [name for name in MANIFESTS if any((ROOT / "packages" / name).rglob("test_*.py"))]
TEST_TOOLS = ["pytest", "pytest-timeout", "hypothesis", "coverage[toml]"]
#: Seconds after which a test counts as hanging; no test takes a tenth of it on an idle machine.
HANG = "--timeout=900"
DIST = ROOT / "dist"
#: What is run against an installed wheel: the examples of the README, and that generated records are current.
SMOKE = ("test_readme.py", "test_records.py")

# A shell that runs us in the background ignores SIGINT, and every test that interrupts something would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["layers", "lint", "types", "tests", "wheel", "docs"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True

each_package = nox.parametrize("package", [nox.param(name, id=name) for name in PACKAGES])


#: Packages whose code is about machines: their tests with real ones count towards their coverage.
DRIVEN_BY_MACHINES = {"doom-oracle", "probes", "qemu", "uefi-host", "virtio"}
#: A package of protocols and adapters is covered by the suites that run real file systems through them.
USED_BY = {
    "vfs": {
        "fat": ("test_archive.py", "test_fsspec.py", "test_pyfs.py", "test_volume.py"),
        "ufs2": (
            "test_attributes.py",
            "test_edit_stateful.py",
            "test_tar.py",
            "test_fsspec.py",
            "test_pyfs.py",
            "test_edit_guards.py",
        ),
    }
}


def source_of(package: str) -> Path:
    """A package's source folder; another module may stand beside it."""
    return ROOT / "packages" / package / "src" / f"cloudboot_{package.replace('-', '_')}"


def folder(distribution: str) -> str | None:
    """The folder of a distribution of this workspace, or ``None`` for anybody else's."""
    name = distribution.removeprefix("cloudboot-")
    return name if name in MANIFESTS and name != distribution else None


def requirement_name(requirement: str) -> str:
    """``"cloudboot-ufs2[fs]>=0.1"`` -> ``"cloudboot-ufs2"``."""
    for stop in "[<>=!~; ":
        requirement = requirement.split(stop, 1)[0]
    return requirement


def declared(name: str) -> list[str]:
    """What a package declares: dependencies, extras, and what its tests need."""
    project = MANIFESTS[name]["project"]
    groups = [
        *project.get("optional-dependencies", {}).values(),
        MANIFESTS[name].get("dependency-groups", {}).get("test", []),
    ]
    return [*project.get("dependencies", []), *(item for group in groups for item in group)]


def siblings(name: str, above: tuple[str, ...] = ()) -> list[str]:
    """The packages of this workspace that ``name`` declares, and those that they declare.

    An extra may name a package that needs the one it belongs to; ``above`` has those that are being looked at.
    """
    found: list[str] = []
    for requirement in declared(name):
        other = folder(requirement_name(requirement))
        if other is not None and other not in {name, *above} and other not in found:
            found += [package for package in [*siblings(other, (*above, name)), other] if package not in found]
    return found


def test_requirements(name: str) -> list[str]:
    """What the tests of a package need beyond its own dependencies and its siblings."""
    group = MANIFESTS[name].get("dependency-groups", {}).get("test", [])
    return [*TEST_TOOLS, *(item for item in group if folder(requirement_name(item)) is None)]


def install(session: nox.Session, name: str, *tools: str) -> None:
    """Install the package with its extras and the siblings it declares, editable, constrained by the pins."""
    extras = ",".join(MANIFESTS[name]["project"].get("optional-dependencies", {}))
    own = f"packages/{name}" + (f"[{extras}]" if extras else "")
    members = [word for path in (*(f"packages/{other}" for other in siblings(name)), own) for word in ("-e", path)]
    session.install("--quiet", "--constraint", str(PINS), *members, *tools)


@nox.session
def layers(session: nox.Session) -> None:
    """The import rules between packages."""
    session.install(
        "--quiet", "--constraint", str(PINS), "import-linter", *(f"-epackages/{name}" for name in MANIFESTS)
    )
    session.run("lint-imports", "--config", "pyproject.toml")


@nox.session
@each_package
def lint(session: nox.Session, package: str) -> None:
    """Formatting and lint of one package, and of what belongs to none."""
    session.install("--quiet", "--constraint", str(PINS), "ruff")
    others = ["noxfile.py", "conftest.py", "tools", "benchmarks", "docs"] if package == PACKAGES[0] else []
    session.run("ruff", "check", f"packages/{package}", *others)
    session.run("ruff", "format", "--check", f"packages/{package}", *others)


@nox.session
@each_package
def types(session: nox.Session, package: str) -> None:
    """Mypy, strict, over the sources and the tests of one package."""
    install(session, package, *test_requirements(package), "mypy", "construct-typing", "types-requests")
    # A cache of its own: sessions run side by side, and Mypy fails when two of its processes write one cache.
    cache = f"--cache-dir={session.create_tmp()}/mypy"
    source = source_of(package)
    session.run("mypy", cache, str(source.relative_to(ROOT)))
    session.run("mypy", cache, f"packages/{package}/tests")


@nox.session
@each_package
def tests(session: nox.Session, package: str) -> None:
    """The suite of one package, judges and real firmware included; without what is marked ``long`` unless asked for."""
    install(session, package, *test_requirements(package))
    arguments = session.posargs or ["-m", "not long"]
    session.run("python", "-m", "pytest", HANG, f"packages/{package}/tests", *arguments)


@nox.session
@each_package
def coverage(session: nox.Session, package: str) -> None:
    """Branch coverage of one package by its own suite, which fails below 90 %."""
    install(session, package, *test_requirements(package))
    suites = [f"packages/{package}/tests"]
    for user, files in USED_BY.get(package, {}).items():
        install(session, user, *test_requirements(user))
        suites += [f"packages/{user}/tests/{file}" for file in files]
    data = {"COVERAGE_FILE": str(Path(session.create_tmp()).resolve() / "data")}
    source = source_of(package).name
    run = ("python", "-m", "coverage", "run", "--branch", f"--source={source}", "--parallel-mode", "-m", "pytest")
    marks = "not long" if package in DRIVEN_BY_MACHINES else "not live and not long"
    session.run(*run, HANG, "-m", marks, "--quiet", *suites, env=data)
    session.run("python", "-m", "coverage", "combine", "--quiet", env=data)
    # Programs that a test starts also measure the packages below.
    included = f"--include=*/{source}/*"
    session.run("python", "-m", "coverage", "report", "--fail-under=90", included, env=data)


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Sessions run side by side, and several need the same wheel: one builds it, the others wait."""
    DIST.mkdir(exist_ok=True)
    with (DIST / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def wheel_of(session: nox.Session, name: str) -> Path:
    """The wheel of a package as its sources are now."""
    folder = ROOT / "packages" / name
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.*"), *folder.glob("src/**/*")]):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    project = MANIFESTS[name]["project"]
    wheel = DIST / f"{project['name'].replace('-', '_')}-{project['version']}-py3-none-any.whl"
    stamp = DIST / f".{name}.sha256"
    with alone(name):
        if not wheel.exists() or not stamp.exists() or stamp.read_text() != digest.hexdigest():
            session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(DIST), f"packages/{name}", external=True)
            stamp.write_text(digest.hexdigest())
    return wheel


@nox.session
@each_package
def wheel(session: nox.Session, package: str) -> None:
    """The built wheel in a clean environment: ranges between packages, missing files, undeclared imports."""
    # By path: a name could be served by an index.
    others = [str(wheel_of(session, other)) for other in siblings(package)]
    built = wheel_of(session, package)
    source = source_of(package)
    # First without extras: what the package needs it has to declare.
    session.install("--quiet", "--constraint", str(PINS), "--reinstall", str(built), *others)
    session.run("python", "-I", "-c", f"import {source.name}")
    for command in MANIFESTS[package]["project"].get("scripts", {}):
        session.run(command, "--help", silent=True)
    smoke = ROOT / "packages" / package / "tests" / "smoke.py"
    if smoke.exists():
        room = Path(session.create_tmp()).resolve() / f"{package}-smoke"
        shutil.rmtree(room, ignore_errors=True)
        room.mkdir()
        session.run("python", "-I", str(smoke), str(room), silent=True)
    extras = ",".join(MANIFESTS[package]["project"].get("optional-dependencies", {}))
    target = f"{built}[{extras}]" if extras else str(built)
    session.install("--quiet", "--constraint", str(PINS), target, *others, *test_requirements(package))
    every_module = (
        f"import importlib, pkgutil, warnings, {source.name} as package\n"
        "warnings.simplefilter('ignore')\n"
        "for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    found.name.endswith('__main__') or importlib.import_module(found.name)\n"
    )
    session.run("python", "-I", "-c", every_module)
    away = Path(session.create_tmp()).resolve() / package
    shutil.rmtree(away, ignore_errors=True)
    (away / "tests").mkdir(parents=True)
    chosen = [name for name in SMOKE if (ROOT / "packages" / package / "tests" / name).exists()]
    for name in [*chosen, "conftest.py"]:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(ROOT / "packages" / package / "tests" / name, away / "tests")
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / "packages" / package / name, away)
    session.chdir(away)
    session.run(
        "python", "-I", "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(away), HANG,
        "-p", "no:cacheprovider", "--quiet", *(f"tests/{name}" for name in chosen),
    )  # fmt: skip


@nox.session
@each_package
def dist(session: nox.Session, package: str) -> None:
    """Source distribution and wheel, strictly checked, and each installed alone in a clean environment."""
    session.install("--quiet", "--constraint", str(PINS), "twine")
    target = DIST / "release" / package
    shutil.rmtree(target, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--out-dir", str(target), f"packages/{package}", external=True)
    made = [str(path) for path in sorted(target.iterdir()) if path.suffix in {".whl", ".gz"}]
    session.run("twine", "check", "--strict", *made)
    others = [str(wheel_of(session, other)) for other in siblings(package)]
    module = source_of(package).name
    for path in made:
        session.install("--quiet", "--constraint", str(PINS), "--reinstall", path, *others)
        session.run("python", "-I", "-c", f"import {module}")


@nox.session(python=["3.11", "3.12", "3.13"])
def adapters(session: nox.Session) -> None:
    """The suites of PyFilesystem2 and fsspec, and what destructors do, on every Python this project is for."""
    install(session, "ufs2", *(tool for tool in test_requirements("ufs2") if not tool.startswith("atheris")))
    names = ("test_pyfs.py", "test_fsspec.py", "test_edit_guards.py")
    session.run("python", "-m", "pytest", *(f"packages/ufs2/tests/{name}" for name in names), *session.posargs)


@nox.session
@each_package
def fuzz(session: nox.Session, package: str) -> None:
    """Coverage-guided fuzzing: ``nox -s 'fuzz(ufs2)' -- 1800`` runs each harness that many seconds (default 60)."""
    harnesses = sorted((ROOT / "packages" / package / "tests" / "fuzz").glob("fuzz_*.py"))
    if not harnesses:
        session.skip(f"{package} has no fuzz harness")
    install(session, package, *test_requirements(package), "atheris")
    seconds = session.posargs[0] if session.posargs else "60"
    for harness in harnesses:
        corpus = ROOT / ".cache" / "fuzz" / package / harness.stem
        corpus.mkdir(parents=True, exist_ok=True)
        kept = harness.parent / "corpus" / harness.stem
        folders = [str(corpus), *([str(kept)] if kept.is_dir() else [])]
        session.run("python", str(harness), f"-max_total_time={seconds}", *folders)


@nox.session
@nox.parametrize(
    "table", [nox.param(path.stem, id=path.stem) for path in sorted((ROOT / "benchmarks").glob("[!_]*.py"))]
)
def bench(session: nox.Session, table: str) -> None:
    """One benchmark table, subject and peers in the same run."""
    session.install("--quiet", "--requirement", str(PINS), *(f"-epackages/{name}" for name in MANIFESTS))
    session.run("python", f"benchmarks/{table}.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, every warning an error."""
    session.install("--quiet", "--requirement", str(PINS), *(f"-epackages/{name}" for name in MANIFESTS))
    shutil.rmtree(ROOT / "docs" / "_build", ignore_errors=True)
    session.run(
        "sphinx-build", "-nW", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html", env={**os.environ}
    )
