"""The policy as it is loaded: rules only, named by the digest of their text.

The digest is SHA-256 over the path and the text of each module in the order of the paths, each preceded by its
length in bytes (8 bytes, big-endian); tests are no modules.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.canonical import canonical
from gateway.errors import Invalid
from gateway.policy.profile import check_profile

ROOT: Final = "gateway"
ENTRYPOINT: Final = "gateway/access/decision"
"""The decision about whatever is asked; what an OPA server answers."""

JUDGED: Final = "gateway/access/judged"
"""The decision about a case that the schema (`read_case`) has passed, so that the rules need not check its types."""
_MOST_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Module:
    """One `.rego` file: its path below the policies' folder, with forward slashes, and its text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class PolicyBundle:
    """All rules of one policy, in the order of their paths, inside the portable profile."""

    modules: tuple[Module, ...]
    digest: str

    def archive(self) -> bytes:
        """An OPA bundle (tar.gz) whose revision is the digest; the same rules give the same bytes.

        It owns `gateway` and holds no data. `opa run --bundle` takes it; production signs it with `opa sign`.
        """
        manifest = canonical({"rego_version": 1, "revision": self.digest, "roots": [ROOT]})
        files = [(".manifest", manifest), *((module.path, module.text.encode()) for module in self.modules)]
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for path, content in files:
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, io.BytesIO(content))
        return gzip.compress(buffer.getvalue(), mtime=0)


def load_bundle(folder: Path) -> PolicyBundle:
    """Read the rules below `folder`.

    `Invalid` names the file and what is wrong: no rules, data among them, a link, not UTF-8, or a construct
    outside the portable profile.
    """
    modules = tuple(_module(folder, path) for path in sorted((folder / ROOT).rglob("*")) if _is_rules(folder, path))
    if not modules:
        raise Invalid(
            "policy_invalid",
            f"There are no rules in {folder.absolute()}.",
            field="GATEWAY_POLICIES_DIR",
            remedy="Set it to the folder that holds them.",
        )
    check_profile({module.path: module.text for module in modules})
    return PolicyBundle(modules, digest_of(modules))


def digest_of(modules: tuple[Module, ...]) -> str:
    """The digest of modules in the order of their paths, 64 hex digits."""
    digest = hashlib.sha256()
    for module in modules:
        for piece in (module.path.encode(), module.text.encode()):
            digest.update(len(piece).to_bytes(8, "big") + piece)
    return digest.hexdigest()


def _is_rules(folder: Path, path: Path) -> bool:
    name = path.relative_to(folder).as_posix()
    if path.is_symlink():
        raise _refuse(name, "is a link", "Put the file itself there.")
    if path.suffix in {".json", ".yaml", ".yml"}:
        raise _refuse(name, "is data", "State it as a rule: policies hold rules only.")
    return path.suffix == ".rego" and not path.name.endswith("_test.rego")


def _module(folder: Path, path: Path) -> Module:
    name = path.relative_to(folder).as_posix()
    content = path.read_bytes()
    if len(content) > _MOST_BYTES:
        raise _refuse(name, "is larger than 1 MiB", "Split it.")
    try:
        return Module(name, content.decode("utf-8"))
    except UnicodeDecodeError:
        raise _refuse(name, "is not UTF-8", "Save it as UTF-8.") from None


def _refuse(name: str, what: str, remedy: str) -> Invalid:
    return Invalid("policy_invalid", f"{name} {what}.", field=name, remedy=remedy)
