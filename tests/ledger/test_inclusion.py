"""The proof of one entry: what a log publishes of it, its text, and what it shows beside a receipt."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.database import Database
from gateway.errors import Invalid, NotFound
from gateway.ledger import Receipt, Recorded, proofs
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.inclusion import LIMIT, InclusionProof
from gateway.ledger.merkle import leaf_hash, root_of
from gateway.ledger.receipts import ReceiptSigner
from gateway.ledger.tiles import Tiles
from gateway.ledger.verify import Outcome
from gateway.ledger.verify_proof import verify_proof
from tests.alliance import b64
from tests.ledger.builders import OPERATOR, OWNER, Keys, act, filled, new_integrator, receipt_of

SIZE = 9
"""Entries of the log that most tests look at: its last leaf stands alone on its side of the tree."""
_SIGNING = Ed25519PrivateKey.from_private_bytes(b"receipts".ljust(32, b"-"))
_JWK = {"kty": "OKP", "crv": "Ed25519", "kid": "kid", "x": b64(_SIGNING.public_key().public_bytes_raw())}
JWKS = json.dumps({"keys": [{"kty": "EC", "kid": "another"}, _JWK]}).encode()


@dataclass(frozen=True)
class Shown:
    """A log in memory as what is handed on of it: a vkey, a proof and a receipt of each entry."""

    vkey: str
    proofs: list[bytes]
    receipts: list[str]


def receipt(number: int, origin: str = f"alliance.example/{OWNER}") -> Receipt:
    return Receipt(f"event-{number}", origin, leaf_hash(b"%d" % number), 1_700_000_000)


def signed(one: Receipt, kid: str = "kid") -> str:
    return ReceiptSigner(_SIGNING, kid).sign(one)


class _Leaves:
    """A hash reader over leaf hashes alone."""

    def __init__(self, size: int) -> None:
        self.hashes_of_leaves = [receipt(number).leaf_hash for number in range(size)]

    async def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        width = 256**level
        return [root_of(self.hashes_of_leaves[at * width : (at + 1) * width]) for at in range(first, first + count)]


async def _proofs(size: int) -> list[bytes]:
    leaves, signer = _Leaves(size), await Keys()(OWNER)
    note = Checkpoint(signer.name, size, root_of(leaves.hashes_of_leaves)).signed(signer)
    made = [tuple(await proofs.inclusion(leaves, index, size)) for index in range(size)]
    return [InclusionProof(index, hashes, note).encode() for index, hashes in enumerate(made)]


@pytest.fixture
async def shown() -> Shown:
    receipts = [signed(receipt(number)) for number in range(SIZE)]
    return Shown(str(await Keys().verifier(OWNER)), await _proofs(SIZE), receipts)


def outcome(shown: Shown, proof: bytes, text: str, jwks: bytes = JWKS) -> Outcome:
    return verify_proof(proof, shown.vkey, text, jwks).outcome


async def test_the_proof_of_each_entry_of_a_log_holds_for_its_receipt(database: Database, tmp_path: Path) -> None:
    ledger, recorded = await filled(database, 300)
    await new_integrator(database, tmp_path / "heads").integrate(OWNER)
    await ledger.record(act("not signed yet", log=OWNER))
    vkey, tiles = str(await Keys().verifier(OWNER)), Tiles(database)
    for entry in recorded:
        proof = await tiles.proof(OWNER, entry.event_id)
        verdict = verify_proof(proof, vkey, signed(receipt_of(entry)), JWKS)
        said = f"entry {entry.event_id} is entry {entry.index} of 300 in alliance.example/{OWNER}."
        assert (verdict.outcome, verdict.sentence) == (Outcome.OK, f"The receipt's {said}")


async def test_an_entry_of_another_log_has_no_proof_here_nor_has_one_that_no_checkpoint_covers(
    database: Database, tmp_path: Path
) -> None:
    ledger, [first] = await filled(database, 1)
    elsewhere = await ledger.record(act("any"))
    tiles, integrator = Tiles(database), new_integrator(database, tmp_path / "heads")
    await _has_none(tiles, first, "not signed yet")
    await integrator.integrate_all()
    for entry in (replace(first, log="none"), replace(first, log=OPERATOR), replace(elsewhere, log=OWNER)):
        await _has_none(tiles, entry, "no such thing")
    for unknown in ("", "0" * 8, "\0", first.event_id.upper(), f"{first.event_id}\n", first.event_id[::-1]):
        await _has_none(tiles, replace(first, event_id=unknown), "no such thing")
    later = await ledger.record(act("later", log=OWNER))
    await _has_none(tiles, later, "not signed yet")
    await integrator.integrate(OWNER)
    assert InclusionProof.parse(await tiles.proof(OWNER, later.event_id)).index == 1


async def _has_none(tiles: Tiles, entry: Recorded, why: str) -> None:
    with pytest.raises(NotFound, match=why):
        await tiles.proof(entry.log, entry.event_id)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
async def test_a_proof_holds_for_its_own_receipt_and_for_no_other(size: int) -> None:
    shown = Shown(str(await Keys().verifier(OWNER)), await _proofs(size), [])
    for index, proof in enumerate(shown.proofs):
        for number in range(size + 1):
            expected = Outcome.OK if number == index else Outcome.TAMPERED
            assert outcome(shown, proof, signed(receipt(number))) is expected


async def test_a_proof_holds_at_no_other_index_inside_the_tree_or_beyond(shown: Shown) -> None:
    for index, proof in enumerate(shown.proofs):
        for other in {*range(SIZE * 4), 2**40 + index, 10**18 - 1} - {index}:
            moved = proof.replace(b"index %d\n" % index, b"index %d\n" % other)
            assert moved != proof
            assert outcome(shown, moved, shown.receipts[index]) is Outcome.TAMPERED


def test_the_text_is_that_of_the_specification_with_nothing_of_our_own(shown: Shown) -> None:
    head, empty, note = shown.proofs[SIZE - 1].decode().partition("\n\n")
    assert empty
    header, index, *hashes = head.split("\n")
    assert (header, index) == ("c2sp.org/tlog-proof@v1", f"index {SIZE - 1}")
    assert [len(one) for one in hashes] == [44], "the last of nine leaves has one sibling: the tree of the others"
    assert note.startswith(f"alliance.example/{OWNER}\n{SIZE}\n")
    assert note.count("\n\n") == 1


def test_every_flipped_byte_of_a_proof_is_refused(shown: Shown) -> None:
    proof, text, tried = shown.proofs[5], shown.receipts[5], 0
    assert outcome(shown, proof, text) is Outcome.OK
    for place, byte in enumerate(proof):
        for other in {byte ^ 1 << bit for bit in range(8)} | {byte ^ 0xFF, *b"\n =A0"} - {byte}:
            forged = proof[:place] + bytes([other]) + proof[place + 1 :]
            assert outcome(shown, forged, text) is not Outcome.OK, (place, byte, other)
            tried += 1
    assert tried > len(proof) * 8


def test_every_flipped_byte_of_a_receipt_is_refused(shown: Shown) -> None:
    proof, text, tried = shown.proofs[5], shown.receipts[5], 0
    for place, letter in enumerate(text):
        for other in {chr(ord(letter) ^ 1 << bit) for bit in range(8)} | {*"\n =A0.-_"} - {letter}:
            forged = text[:place] + other + text[place + 1 :]
            assert outcome(shown, proof, forged) is not Outcome.OK, (place, letter, other)
            tried += 1
    assert tried > len(text) * 8


def test_every_missing_or_added_byte_is_refused(shown: Shown) -> None:
    proof, text = shown.proofs[5], shown.receipts[5]
    for place in range(len(proof)):
        assert outcome(shown, proof[:place] + proof[place + 1 :], text) is not Outcome.OK
        assert outcome(shown, proof[:place], text) is not Outcome.OK
        for added in (b"\n", b" ", b"0", b"A", b"\r", b"\0"):
            assert outcome(shown, proof[:place] + added + proof[place:], text) is not Outcome.OK, (place, added)
    for added in (b"\n", b" ", b"\0", proof):
        assert outcome(shown, proof + added, text) is not Outcome.OK


def test_an_extra_line_is_ignored_once_and_in_its_place_alone(shown: Shown) -> None:
    header, index, rest = shown.proofs[5].split(b"\n", 2)
    for extra in (b"QQ==", b64encode(b"x" * 1000)):
        text = b"\n".join((header, b"extra " + extra, index, rest))
        assert outcome(shown, text, shown.receipts[5]) is Outcome.OK
        assert InclusionProof.parse(text).encode() == shown.proofs[5]
    for lines in (
        (header, index, b"extra QQ==", rest),
        (b"extra QQ==", header, index, rest),
        (header, b"extra QQ==", b"extra QQ==", index, rest),
    ):
        assert outcome(shown, b"\n".join(lines), shown.receipts[5]) is Outcome.INCOMPLETE


_NOTE = Checkpoint("o", 1, b"r" * 32).text().encode() + b"\n\xe2\x80\x94 o QUFBQUFB\n"
_HASH = b64encode(b"h" * 32)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "first line"),
        (b"c2sp.org/tlog-proof@v2\nindex 0\n\n" + _NOTE, "first line"),
        (b"\xef\xbb\xbfc2sp.org/tlog-proof@v1\nindex 0\n\n" + _NOTE, "first line"),
        (b"c2sp.org/tlog-proof@v1\r\nindex 0\r\n\r\n" + _NOTE, "first line"),
        (b"c2sp.org/tlog-proof@v1\nindex 0", "no empty line"),
        (b"c2sp.org/tlog-proof@v1\n\n" + _NOTE, "no index"),
        (b"c2sp.org/tlog-proof@v1\nextra QQ==\n\n" + _NOTE, "no index"),
        *(
            (b"c2sp.org/tlog-proof@v1\nindex " + index + b"\n\n" + _NOTE, "no index")
            for index in (b"", b"00", b"01", b"-1", b"+1", b" 1", b"1 ", b"0x1", b"1_0", b"1" * 19, "१".encode())
        ),
        (b"c2sp.org/tlog-proof@v1\nINDEX 0\n\n" + _NOTE, "no index"),
        *(
            (b"c2sp.org/tlog-proof@v1\nindex 0\n" + line + b"\n\n" + _NOTE, "hash is not canonical")
            for line in (_HASH[:-1], _HASH + b"=", _HASH[:-2] + b"B=", b" " + _HASH, b"-" * 43 + b"=", b"\xff" * 44)
        ),
        (b"c2sp.org/tlog-proof@v1\nindex 0\n" + b64encode(b"h" * 31) + b"\n\n" + _NOTE, "not 32 bytes"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\n" + b64encode(b"h" * 33) + b"\n\n" + _NOTE, "not 32 bytes"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\n" + (_HASH + b"\n") * 64 + b"\n" + _NOTE, "more than 63"),
        (b"c2sp.org/tlog-proof@v1\nextra \nindex 0\n\n" + _NOTE, "extra line is not canonical"),
        (b"c2sp.org/tlog-proof@v1\nextra QR==\nindex 0\n\n" + _NOTE, "extra line is not canonical"),
        (b"c2sp.org/tlog-proof@v1\nextra QQ\nindex 0\n\n" + _NOTE, "extra line is not canonical"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\n\n\n" + _NOTE, "Not a checkpoint"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\n\n", "no signatures"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\n\nnote\n\n\xe2\x80\x94 o QUFBQUFB\n", "Not a checkpoint"),
        (b"c2sp.org/tlog-proof@v1\nextra " + b64encode(b"x" * LIMIT) + b"\nindex 0\n\n" + _NOTE, "longer than"),
    ],
)
def test_another_form_is_refused_and_what_is_wrong_is_named(text: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        InclusionProof.parse(text)


@given(
    st.integers(0, 10**18 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.integers(0, 10**18 - 1),
)
async def test_what_is_written_is_read_back(index: int, hashes: list[bytes], size: int) -> None:
    signer = await Keys()(OWNER)
    made = InclusionProof(index, tuple(hashes), Checkpoint(signer.name, size, b"r" * 32).signed(signer))
    assert InclusionProof.parse(made.encode()) == made


@given(st.binary(max_size=400), st.text(max_size=100), st.binary(max_size=100), st.text(max_size=100))
def test_whatever_is_given_there_is_a_verdict(proof: bytes, text: str, jwks: bytes, vkey: str) -> None:
    assert verify_proof(proof, vkey, text, jwks).outcome is Outcome.INCOMPLETE


async def test_what_is_not_trusted_is_incomplete_and_what_does_not_hold_is_tampered(shown: Shown) -> None:
    proof, text = shown.proofs[5], shown.receipts[5]
    incomplete: dict[str, tuple[bytes, str, str, bytes]] = {
        "verifier key: The verifier key is not": (proof, "none", text, JWKS),
        "checkpoint: The note is not signed by this key": (proof, str(await Keys().verifier(OPERATOR)), text, JWKS),
        "proof: Its first line": (b"none", shown.vkey, text, JWKS),
        "receipt: No key of the set is the one that the receipt names. Take the newest set": (
            proof,
            shown.vkey,
            signed(receipt(5), "unknown"),
            JWKS,
        ),
        "receipt: Not a receipt": (proof, shown.vkey, "none", JWKS),
        "key set: ": (proof, shown.vkey, text, b"none"),
        "receipt: Not a receipt, or the key set is none": (proof, shown.vkey, text, b"[]"),
    }
    other = ReceiptSigner(Ed25519PrivateKey.generate(), "kid").sign(receipt(5))
    elsewhere = signed(receipt(5, f"alliance.example/{OPERATOR}"))
    statement = ReceiptSigner(_SIGNING, "kid").state("other+jws", json.loads("{}"))
    consent = ReceiptSigner(_SIGNING, "kid").state("consent-receipt+jws", json.loads("{}"))
    unlike = signed(receipt(5), "another")
    tampered: dict[str, tuple[bytes, str, str, bytes]] = {
        "receipt: The signature does not hold": (proof, shown.vkey, other, JWKS),
        "receipt: The signature does not hold.": (proof, shown.vkey, unlike, JWKS),
        "receipt: Not what it is taken for: its type is other+jws": (proof, shown.vkey, statement, JWKS),
        "receipt: Not what it is taken for: its type is consent-receipt+jws, not access-receipt+jws. `gateway": (
            proof,
            shown.vkey,
            consent,
            JWKS,
        ),
        "receipt is of another log": (proof, shown.vkey, elsewhere, JWKS),
        "checkpoint: The signature does not hold": (proof.replace(b"\n9\n", b"\n8\n"), shown.vkey, text, JWKS),
        "entry does not stand there: The proof does not lead to the root": (proof, shown.vkey, shown.receipts[4], JWKS),
    }
    for expected, cases in ((Outcome.INCOMPLETE, incomplete), (Outcome.TAMPERED, tampered)):
        for why, given_ in cases.items():
            verdict = verify_proof(*given_)
            assert (verdict.outcome, f"The {why}" in verdict.sentence) == (expected, True), (why, verdict)


async def test_a_checkpoint_of_another_origin_by_the_logs_own_key_is_refused(shown: Shown) -> None:
    signer = await Keys()(OWNER)
    one = InclusionProof.parse(shown.proofs[5])
    root = Checkpoint.verify(one.checkpoint, await Keys().verifier(OWNER)).root
    forged = replace(one, checkpoint=Checkpoint("alliance.example/other", SIZE, root).signed(signer)).encode()
    verdict = verify_proof(forged, shown.vkey, signed(receipt(5, "alliance.example/other")), JWKS)
    assert (verdict.outcome, "another log than the key" in verdict.sentence) == (Outcome.TAMPERED, True)


def test_when_a_receipt_was_issued_does_not_matter(shown: Shown) -> None:
    for instant in (0, 1, 2**40):
        assert outcome(shown, shown.proofs[5], signed(receipt(5)._replace(issued_at=instant))) is Outcome.OK
