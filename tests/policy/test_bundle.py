"""What is loaded is rules only, named by the digest of their text, inside the portable profile."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from gateway.errors import Invalid
from gateway.policy import PolicyBundle, load_bundle
from gateway.policy.profile import check_profile
from tests.policy.conftest import POLICIES

BANNED = {
    "the time": "x := time.now_ns()",
    "a glob": 'x if glob.match("*", [":"], input.a)',
    "a regular expression": 'x if regex.match("a", input.a)',
    "a sort": "x := sort(input.a)",
    "a minimum": "x := min(input.a)",
    "a maximum": "x := max(input.a)",
    "a version": 'x if semver.compare(input.a, "1.0.0") == 1',
    "a network": "x if net.cidr_contains(input.a, input.b)",
    "a patch": "x := json.patch(input.a, [])",
    "a hash": "x := crypto.sha256(input.a)",
    "a token": "x := io.jwt.decode(input.a)",
    "the rule's own text": "x := rego.metadata.rule()",
    "a walk": "x contains p if walk(input, [p, _])",
    "a call out": 'x := http.send({"method": "get", "url": input.a})',
    "a random number": 'x := rand.intn("a", 5)',
    "a unit": 'x := units.parse("5k")',
    "a format": 'x := sprintf("%s", [input.a])',
    "a join as a value": 'x := concat(",", input.a)',
    "a trace": 'x if print("a")',
    "a division": "x := input.a / 2",
    "a remainder": "x := input.a % 2",
    "an intersection": "x := input.a & input.b",
    "a float": "x := 1.5",
    "an exponent": "x := 1e3",
    "a number too large": "x := 9007199254740992",
    "an import": "import data.gateway.other",
    "an override": 'x if y with input as {"a": 1}',
    "other data": "x := data.secrets.key",
    "all data": 'x := data["secrets"]',
    "a nested reference": "x := input.a[input.b[_]]",
    "a nested path": "x := input.a[input.b]",
    "key and value": "x := {v | some k, v in input.a}",
    "every without braces": "x if every v in input.a { v == 1 }",
    "a type as a value": "x := is_string(input.a)",
    "a type compared": "x if false == is_string(input.a)",
    "a type in a list": "x := [is_number(input.a)]",
    "another package": "package other",
    "a character": "x := input.a ~ 1",
    "a rule as a variable of some": "y := 1\n\nx if { some y in input.a }",
    "a rule as a variable of every": "y := 1\n\nx if { every y in input.a { y > 0 } }",
    "a rule assigned to": "default y := 1\n\ny := 2 if input.a\n\nx if { y := 3 }",
    "a rule as a variable of the next line": "y := 1\n\nx if { some\ny in input.a }",
    "a rule as an argument": "default y := 1\n\nx(z, y) if z == y",
    "a default as a variable": "default y := 1\n\nx if { some y in input.a }",
    "every with a key": "x if { every k, v in input.a { v == k } }",
    "variables of a list": "x if { [y, z] := input.a; y == z }",
    "variables of an object": 'x if { {"a": y} := input.a; y }',
    "some of an object": 'x if { some {"a": y} in input.a; y }',
    "some of a list": "x if { some [y, z] in input.a; y == z }",
    "a requirement as a set": "requirement.X.met contains y if some y in input.a",
    "a requirement as a value": "requirement.X.met := {y | some y in input.a}",
    "a requirement of four names": "requirement.X.met.really if input.a",
    "a requirement of two names": "requirement.X if input.a",
    "a requirement in brackets": 'requirement["X"].met if input.a',
    "a requirement met by default": "default requirement.X.met := true",
    "a rule after a blank": "y := 1\n\n x if y == 2",
}


@pytest.mark.parametrize("name", BANNED)
def test_a_construct_outside_the_profile_is_refused_by_name(name: str) -> None:
    text = BANNED[name] if BANNED[name].startswith("package") else f"package gateway.access\n\n{BANNED[name]}\n"
    with pytest.raises(Invalid) as refusal:
        check_profile({"gateway/access/x.rego": text})
    assert refusal.value.code == "policy_outside_profile"
    assert refusal.value.field == f"gateway/access/x.rego:{text.count(chr(10)) or 1}"


def test_strings_and_comments_are_no_constructs() -> None:
    text = (
        'package gateway.access\n\n# time.now_ns() / 2 with 1.5\nx := "http.send() / \\" 1.5"\n\ny := `sort(1.5)\n/`\n'
    )
    check_profile({"x.rego": text})


def test_a_function_may_live_in_another_file_of_the_policy() -> None:
    uses = "package gateway.access\n\nx if whole(input.a)\n"
    with pytest.raises(Invalid, match="the function whole"):
        check_profile({"x.rego": uses})
    check_profile({"x.rego": uses, "y.rego": "package gateway.access\n\nwhole(v) if v % 1 == 0\n"})


def _copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(POLICIES, tmp_path / "policies"))


def test_the_digest_names_every_byte_and_every_path(bundle: PolicyBundle, tmp_path: Path) -> None:
    rules = _copy(tmp_path) / "gateway" / "access"
    assert load_bundle(tmp_path / "policies").digest == bundle.digest
    digests = {bundle.digest}
    with (rules / "holds.rego").open("a") as holds:
        holds.write("\n")
    digests.add(load_bundle(tmp_path / "policies").digest)
    (rules / "holds.rego").rename(rules / "held.rego")
    digests.add(load_bundle(tmp_path / "policies").digest)
    (rules / "held.rego").unlink()
    digests.add(load_bundle(tmp_path / "policies").digest)
    assert len(digests) == 4


def test_tests_and_prose_are_not_of_the_policy(bundle: PolicyBundle, tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    (folder / "gateway" / "access" / "more_test.rego").write_text("package gateway.access_test\n")
    (folder / "gateway" / "NOTES.md").write_text("prose")
    assert load_bundle(folder).digest == bundle.digest
    assert len(bundle.modules) == len(list(POLICIES.rglob("*.rego"))) - len(list(POLICIES.rglob("*_test.rego")))


def test_the_digest_is_over_lengths_paths_and_texts(tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "x.rego").write_bytes(b"package gateway\n")
    pieces = (b"gateway/x.rego", b"package gateway\n")
    expected = b"".join(len(piece).to_bytes(8, "big") + piece for piece in pieces)
    assert load_bundle(tmp_path).digest == hashlib.sha256(expected).hexdigest()


@pytest.mark.parametrize("name", ["data.json", "data.yaml", "access/extra.yml"])
def test_data_among_the_rules_is_refused(tmp_path: Path, name: str) -> None:
    (_copy(tmp_path) / "gateway" / name).write_text("{}")
    with pytest.raises(Invalid, match="is data"):
        load_bundle(tmp_path / "policies")


def test_a_link_among_the_rules_is_refused(tmp_path: Path) -> None:
    rules = _copy(tmp_path) / "gateway" / "access"
    (rules / "extra.rego").symlink_to(rules / "holds.rego")
    with pytest.raises(Invalid, match="is a link"):
        load_bundle(tmp_path / "policies")


@pytest.mark.parametrize(("content", "said"), [(b"\xff", "not UTF-8"), (b"#" * (1024 * 1024 + 1), "larger")])
def test_a_file_that_is_no_text_or_too_long_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (_copy(tmp_path) / "gateway" / "access" / "extra.rego").write_bytes(content)
    with pytest.raises(Invalid, match=said):
        load_bundle(tmp_path / "policies")


def test_a_folder_without_rules_is_refused_and_named_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Invalid, match="policy_invalid") as refused:
        load_bundle(Path("policies"))
    assert str(tmp_path / "policies") in refused.value.detail
    assert refused.value.field == "GATEWAY_POLICIES_DIR"


def test_a_policy_outside_the_profile_is_not_loaded(tmp_path: Path) -> None:
    (_copy(tmp_path) / "gateway" / "access" / "extra.rego").write_text("package gateway.access\n\nx := time.now_ns()\n")
    with pytest.raises(Invalid, match=r"gateway/access/extra\.rego:3"):
        load_bundle(tmp_path / "policies")


def test_the_archive_is_the_same_bytes_and_holds_rules_only(bundle: PolicyBundle) -> None:
    archive = bundle.archive()
    assert archive == load_bundle(POLICIES).archive()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
        names = tar.getnames()
        manifest = tar.extractfile(".manifest")
        assert manifest is not None
        assert json.load(manifest) == {"rego_version": 1, "revision": bundle.digest, "roots": ["gateway"]}
    assert names == [".manifest", *(module.path for module in bundle.modules)]


def test_opa_refuses_a_signed_bundle_that_was_edited(bundle: PolicyBundle, opa_binary: Path, tmp_path: Path) -> None:
    """The revision is believed because the bundle is signed: an edit keeps the label, not the signature."""
    (tmp_path / "key").write_text("a-secret-of-this-test-alone-32-bytes")
    (tmp_path / "plain.tar.gz").write_bytes(bundle.archive())
    opa = str(opa_binary)
    sign = [opa, "build", "--bundle", "plain.tar.gz", "--signing-key", "key", "--signing-alg", "HS256"]
    subprocess.run([*sign, "--revision", bundle.digest, "--output", "signed.tar.gz"], cwd=tmp_path, check=True)
    check = [opa, "build", "--verification-key", "key", "--signing-alg", "HS256", "--output", "again.tar.gz"]
    sound = subprocess.run([*check, "--bundle", "signed.tar.gz"], cwd=tmp_path, capture_output=True, check=False)
    assert sound.returncode == 0, sound.stderr

    edited = tmp_path / "edited.tar.gz"
    with tarfile.open(tmp_path / "signed.tar.gz") as signed, tarfile.open(edited, "w:gz") as tar:
        for entry in signed.getmembers():
            stream = signed.extractfile(entry)
            content = stream.read() if stream else b""
            content = content.replace(b'hold.state == "lifted"', b'hold.state != "lifted"')
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    refused = subprocess.run([*check, "--bundle", "edited.tar.gz"], cwd=tmp_path, capture_output=True, check=False)
    assert refused.returncode != 0
    assert b"digest" in refused.stdout + refused.stderr
