"""Sphinx configuration: furo, MyST, and API pages out of the packages' own docstrings."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any

from sphinx.addnodes import pending_xref
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "cloudboot"
author = "The cloudboot developers"
project_copyright = author
extensions = ["myst_parser", "sphinx_design", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "cloudboot"
html_static_path = ["_static"]
html_css_files = ["code.css"]
html_show_sourcelink = False
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"

autodoc_default_options = {"members": True, "undoc-members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
# A name that several packages have ("Access", "Member") is ambiguous in a signature; the link to the nearest is right.
suppress_warnings = ["ref.python"]
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

PACKAGES = [
    "cloudboot_base",
    "cloudboot_records",
    "cloudboot_disk_image",
    "cloudboot_vfs",
    "cloudboot_gpt",
    "cloudboot_fat",
    "cloudboot_ufs2",
    "cloudboot_uefi_abi",
    "cloudboot_ntfs",
    "cloudboot_oci_stream",
    "cloudboot_qemu",
    "cloudboot_virtio",
    "cloudboot_doom_oracle",
    "cloudboot_uefi_host",
    "cloudboot_probes",
    "cloudboot_fleet",
]

# Names of Python itself and of dependencies: their inventories would have to come over the network, and the
# documentation builds without one. Every name of ours must exist.
_MODULES = (
    "argparse|collections|contextlib|cryptography|datetime|dt|enum|io|mmap|os|pathlib|re|ssl|struct|subprocess|time|types|typing|uuid"
    "|np|numpy|typing_extensions"
)
_NAMES = (
    "AnyConstruct|BinaryIO|Buffer|Callable|ClassVar|Console|IO|Iterable|Iterator|Literal|Mapping|ModuleType|Path|Self"
    "|NDArray|RLock|Sequence|UUID|dict|list|tuple"
)
nitpick_ignore_regex = [(r"py:.*", rf"({_MODULES})(\..*)?"), (r"py:(class|obj)", rf"({_NAMES})(\[.*)?")]
nitpick_ignore = [
    # aliases that exist for type checkers only
    ("py:class", "AnyFile"), ("py:class", "BackEnd"), ("py:class", "Content"), ("py:class", "Declare"),
    ("py:class", "Decoded"), ("py:class", "ElementValue"),
    ("py:class", "Main"), ("py:class", "PrivateAlgorithm"), ("py:class", "Progress"), ("py:class", "Ranges"),
    ("py:class", "Source"), ("py:class", "Tree"),
    ("py:class", "IsoTree"),  # of a module that is imported for a CD only
    ("py:attr", "size"), ("py:attr", "view"),  # set in __init__ and described in the class's own text
]  # fmt: skip


def candidates(module: str, target: str) -> Iterator[tuple[str, list[str]]]:
    """``target`` as a package and the parts of a name in it, without the modules in between; nearest package first."""
    parts = [part for part in target.split(".") if part]
    if parts and parts[0] in PACKAGES:
        module = parts[0]
    while len(parts) > 1 and parts[0].islower():
        parts = parts[1:]
    for package in dict.fromkeys([module.split(".")[0], *PACKAGES]):
        if package in PACKAGES:
            yield package, parts


def exists(package: str, parts: list[str]) -> bool:
    """Whether some module of ``package`` has the name; it is then an internal one, with no place in these pages."""
    if importlib.util.find_spec(".".join([package, *parts])) if parts[0].islower() and len(parts) == 1 else None:
        return True
    modules = [module for name, module in list(sys.modules.items()) if name.split(".")[0] == package]
    return any(parts[0] in vars(module) for module in modules)


def resolve(app: Sphinx, env: BuildEnvironment, node: nodes.Element, contnode: nodes.Element) -> nodes.Element | None:
    """Annotations name a class by the module that defines it; readers know it by the package that exports it.

    An exception leads to the package's tree of them.
    """
    if node.get("refdomain") != "py":
        return None
    objects = env.domains.python_domain.objects
    places = list(candidates(str(node.get("py:module") or ""), node["reftarget"]))
    for package, parts in places:
        defined = vars(sys.modules.get(f"{package}.errors", sys)).get(parts[0])
        is_exception = isinstance(defined, type) and issubclass(defined, BaseException)
        for name in (".".join([package, *parts]), f"{package}.errors"):
            if name in objects and (is_exception or not name.endswith(".errors")):
                found = objects[name]
                return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, contnode, name)
    return contnode if any(exists(package, parts) for package, parts in places) else None


def qualify(_: Sphinx, doctree: nodes.document) -> None:
    """Give a bare name the module it has in its own package, since two packages may use the same name."""
    for node in list(doctree.findall(pending_xref)):
        package, target = str(node.get("py:module") or "").split(".")[0], node["reftarget"]
        if node.get("refdomain") == "py" and target == "type":  # the builtin, not one of the attributes of that name
            node.replace_self(node.children)
            continue
        if node.get("refdomain") == "py" and package in PACKAGES and target.isidentifier():
            own = [vars(module).get(target) for name, module in sys.modules.items() if name.split(".")[0] == package]
            for found in own:
                if isinstance(found, type) and found.__module__.split(".")[0] in PACKAGES:
                    node["reftarget"] = f"{found.__module__}.{found.__qualname__}"
                    break


def prepare(_: Sphinx, what: str, *rest: Any) -> None:
    """Keep what napoleon and docutils would take for something else."""
    lines: list[str] = rest[-1]
    if what in {"property", "attribute", "data"}:
        lines[:0] = ["..", ""]  # napoleon takes what stands before a colon in the first line for a type
    text = "\n".join(lines)
    for block in re.split(r"\n\s*\n", text):
        if "+-- " in block:  # a tree of exceptions stays as it is drawn
            drawn = "\n".join("    " + line for line in block.splitlines())
            text = text.replace(block, f"::\n\n{drawn}")
    lines[:] = text.split("\n")


def without_exceptions(_: Sphinx, what: str, __: str, obj: Any, *___: Any) -> bool | None:
    """A package's tree of exceptions says more, in less room, than one entry for each of them."""
    return True if what == "module" and isinstance(obj, type) and issubclass(obj, BaseException) else None


def setup(app: Sphinx) -> None:
    """Connect the hooks; docstrings are prepared before napoleon reads them."""
    app.connect("doctree-read", qualify)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", prepare, priority=100)
    app.connect("autodoc-skip-member", without_exceptions)
