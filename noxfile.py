"""Sessions per package. Each installs only the package under test and what it declares, so a missing range shows."""

from __future__ import annotations

import os
import shutil
import signal
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PINS = ROOT / "requirements" / "dev.txt"
MANIFESTS = {
    path.parent.name: tomllib.loads(path.read_text()) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
}
PACKAGES = [name for name in MANIFESTS if any((ROOT / "packages" / name).rglob("test_*.py"))]
TEST_TOOLS = ["pytest", "hypothesis", "coverage[toml]"]

# A shell that runs us in the background ignores SIGINT, and every test that interrupts something would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["layers", "lint", "types", "tests", "wheel", "docs"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True

each_package = nox.parametrize("package", [nox.param(name, id=name) for name in PACKAGES])


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


def siblings(name: str) -> list[str]:
    """The packages of this workspace that ``name`` declares, and those that they declare."""
    found: list[str] = []
    for requirement in declared(name):
        other = folder(requirement_name(requirement))
        if other is not None and other != name and other not in found:
            found += [package for package in [*siblings(other), other] if package not in found]
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
    source = next((ROOT / "packages" / package / "src").iterdir())
    session.run("mypy", str(source.relative_to(ROOT)))
    session.run("mypy", f"packages/{package}/tests")


@nox.session
@each_package
def tests(session: nox.Session, package: str) -> None:
    """The whole suite of one package, judges and real firmware included."""
    install(session, package, *test_requirements(package))
    session.run("python", "-m", "pytest", f"packages/{package}/tests", *session.posargs)


def wheel_of(name: str, dist: Path) -> Path:
    """Where the wheel of a package is after it was built into ``dist``."""
    project = MANIFESTS[name]["project"]
    return dist / f"{project['name'].replace('-', '_')}-{project['version']}-py3-none-any.whl"


@nox.session
@each_package
def wheel(session: nox.Session, package: str) -> None:
    """The built wheel in a clean environment: ranges between packages, files left out, imports of the source tree."""
    dist = ROOT / "dist"
    for name in [*siblings(package), package]:
        session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(dist), f"packages/{name}", external=True)
    built = wheel_of(package, dist)
    extras = ",".join(MANIFESTS[package]["project"].get("optional-dependencies", {}))
    target = f"{built}[{extras}]" if extras else str(built)
    # By path: a name could be served by an index.
    others = [str(wheel_of(other, dist)) for other in siblings(package)]
    session.install(
        "--quiet", "--constraint", str(PINS), "--reinstall", target, *others,
        *test_requirements(package),
    )  # fmt: skip
    away = Path(session.create_tmp()).resolve() / package
    shutil.rmtree(away, ignore_errors=True)
    shutil.copytree(ROOT / "packages" / package / "tests", away / "tests")
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / "packages" / package / name, away)
    session.chdir(away)
    session.run(
        "python", "-I", "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(away),
        "-m", "not live and not slow", "-p", "no:cacheprovider", "--quiet", "tests",
    )  # fmt: skip


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
@nox.parametrize("table", [nox.param(path.stem, id=path.stem) for path in sorted((ROOT / "benchmarks").glob("*.py"))])
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
