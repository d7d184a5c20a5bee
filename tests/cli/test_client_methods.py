"""How an operator says by what a client authenticates."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from stdnum.cn import uscc

from gateway.cli.methods import method_of
from gateway.errors import Invalid
from gateway.identity import Binding, MethodName
from gateway.settings import Settings
from tests.cli.conftest import Gateway, admit_member
from tests.identity.authority import self_signed


def test_a_client_is_registered_by_key_by_name_or_by_certificate(
    gateway: Gateway, settings: Settings, tmp_path: Path
) -> None:
    gateway("init")
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    code = "91310000MA1000000" + uscc.calc_check_digit("91310000MA1000000")
    member = gateway("admin", "member", alliance, "--name", "Bank", "--uscc", code, "--industry", "bank").stdout.strip()
    admit_member(settings, member, code)
    key, certificate = tmp_path / "key.json", tmp_path / "certificate.pem"
    key.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=False)))
    certificate.write_bytes(self_signed().pem)
    options = [
        [str(key)],
        [str(key), "--strict-typ"],
        ["--san-dns", "core.bank.example"],
        ["--subject-dn", "CN=core,O=Bank,C=CN"],
        ["--certificate", str(certificate)],
    ]
    for number, chosen in enumerate(options):
        if number == 1:
            key.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=False)))
        answer = gateway("admin", "client", member, "--name", "core", *chosen)
        assert answer.exit_code == 0, answer.output
        approved = gateway("admin", "approve", answer.stdout.strip(), SUDO_USER="second")
        assert approved.exit_code == 0, approved.output
        assert len(approved.stdout.strip()) == 32
    for chosen in ([], [str(key), "--san-dns", "x.example"], ["--san-dns", "a.example", "--san-uri", "urn:b"]):
        answer = gateway("admin", "client", member, "--name", "core", *chosen)
        assert answer.exit_code == 1
        assert "Traceback" not in answer.output
    taken = gateway("admin", "client", member, "--name", "core", "--san-dns", "CORE.bank.example")
    assert taken.exit_code == 1
    assert "another client's" in taken.output


def test_a_method_is_read_from_its_options(tmp_path: Path) -> None:
    credential = self_signed()
    pem, _ = credential.files(tmp_path)
    jwk = tmp_path / "jwk.json"
    public = ECKey.import_key(credential.key.public_key()).as_dict()
    jwk.write_text(json.dumps({**public, "x5c": [b64encode(credential.der).decode()]}))
    for file in (pem, jwk):
        method = method_of({}, [file], bind_certificate=False, strict_typ=False)
        assert (method.name, method.certificates) == (
            MethodName.SELF_SIGNED_TLS_CLIENT_AUTH,
            (credential.thumbprint,),
        )
        assert method.binding is Binding.CERTIFICATE
    bound = method_of({"san_dns": None}, None, bind_certificate=True, strict_typ=True)
    assert (bound.name, bound.binding, bound.strict_typ) == (MethodName.PRIVATE_KEY_JWT, Binding.CERTIFICATE, True)


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", "no certificate", "x" * 70_000])
def test_a_file_without_a_certificate_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    with pytest.raises(Invalid):
        method_of({}, [file], bind_certificate=False, strict_typ=False)
