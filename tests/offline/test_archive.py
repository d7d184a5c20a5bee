from __future__ import annotations

import struct
from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZipFile, ZipInfo

import pytest

from gateway.consents.offline import archive as archives
from gateway.consents.offline.archive import Archive
from gateway.errors import Invalid, TooLarge
from tests.offline.packing import SCAN, SCAN_SHA256, archive, manifest, packed

ROWS = b"subject\r\n1\r\n"


def refused(body: bytes) -> Invalid | TooLarge:
    with pytest.raises((Invalid, TooLarge)) as caught:
        b"".join(Archive(body).sheet())
    assert isinstance(caught.value, Invalid | TooLarge)
    return caught.value


def test_evidence_that_is_there_is_checked_and_what_is_only_listed_is_stated() -> None:
    read = Archive(archive(ROWS, {"scans/1.pdf": SCAN}, {"scans/1.pdf": SCAN, "scans/2.pdf": b"elsewhere"}))
    assert b"".join(read.sheet()) == ROWS
    assert read.checked == {SCAN_SHA256}
    assert read.manifest.keys() == {"scans/1.pdf", "scans/2.pdf"}


def test_the_manifest_is_read_as_sha256sum_writes_it() -> None:
    text = f"\ufeff{SCAN_SHA256} *./scans/1.pdf\r\n\n".encode()
    read = Archive(packed({"consents.csv": ROWS, "MANIFEST.sha256": text}))
    assert read.manifest == {"scans/1.pdf": SCAN_SHA256}


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"MANIFEST.sha256": b""}, "file_missing"),
        ({"consents.csv": ROWS}, "file_missing"),
        ({"consents.csv": ROWS, "MANIFEST.sha256": b"no digest\n"}, "invalid_manifest"),
        ({"consents.csv": ROWS, "MANIFEST.sha256": b"\xff\n"}, "invalid_utf8"),
        ({"consents.csv": ROWS, "MANIFEST.sha256": b"", "scan.pdf": SCAN}, "file_not_listed"),
        ({"consents.csv": ROWS, "MANIFEST.sha256": manifest({"s": b"x"}), "s": SCAN}, "evidence_differs"),
        (
            {"consents.csv": ROWS, "MANIFEST.sha256": b"".join(manifest({"s": one}) for one in (b"1", b"2"))},
            "duplicate_file",
        ),
    ],
)
def test_an_archive_that_contradicts_itself_is_refused(files: dict[str, bytes], code: str) -> None:
    assert refused(packed(files)).code == code


@pytest.mark.parametrize("body", [b"", b"PK", b"no archive", archive(ROWS, {"scan": SCAN})[:-30]])
def test_what_is_no_whole_zip_is_refused(body: bytes) -> None:
    assert refused(body).code == "archive_unreadable"


def test_a_changed_byte_of_a_file_is_noticed() -> None:
    body = bytearray(archive(ROWS, {"scan": SCAN * 40}))
    at = body.index(b"scan", body.index(b"MANIFEST"))
    body[at + 8] ^= 0xFF
    assert refused(bytes(body)).code in ("archive_unreadable", "evidence_differs")


@pytest.mark.parametrize(
    "name",
    ["../scan.pdf", "/etc/scan.pdf", "scans/../../x", "C:scan.pdf", "scans\\x", "a//b", " ", "s\u202ecan", "x" * 300],
)
def test_a_name_with_a_path_trick_is_refused_by_its_number(name: str) -> None:
    error = refused(packed({"consents.csv": ROWS, "MANIFEST.sha256": b"", name: SCAN}))
    assert (error.code, error.field) == ("unsafe_name", "file 3")
    listed = f"{SCAN_SHA256}  {name}\n".encode()
    assert refused(packed({"consents.csv": ROWS, "MANIFEST.sha256": listed})).code == "invalid_manifest"


def test_a_file_without_a_name_is_refused_by_its_number() -> None:
    made = BytesIO()
    with ZipFile(made, "w") as file:
        file.writestr(ZipInfo("x"), SCAN)
        file.filelist[0].filename = file.filelist[0].orig_filename = ""
    error = refused(made.getvalue())
    assert (error.code, error.field) == ("unsafe_name", "file 1")


def test_a_folder_in_an_archive_is_no_file() -> None:
    read = Archive(packed({"consents.csv": ROWS, "MANIFEST.sha256": b"", "scans/": b""}))
    assert b"".join(read.sheet()) == ROWS


@pytest.mark.parametrize("broken", [IndexError, struct.error])
def test_whatever_the_zip_reader_stumbles_over_is_no_whole_zip(
    monkeypatch: pytest.MonkeyPatch, broken: type[Exception]
) -> None:
    def stumble(_: BytesIO) -> ZipFile:
        raise broken

    monkeypatch.setattr(archives, "ZipFile", stumble)
    assert refused(archive(ROWS, {})).code == "archive_unreadable"


def test_a_link_in_an_archive_is_refused() -> None:
    made = BytesIO()
    with ZipFile(made, "w") as file:
        link = ZipInfo("scan")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    assert refused(made.getvalue()).code == "unsafe_name"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused_in_whatever_case() -> None:
    for names in (("scan", "scan"), ("Scan", "sCAN")):
        made = BytesIO()
        with ZipFile(made, "w") as file:
            for name in names:
                file.writestr(name, SCAN)
        assert refused(made.getvalue()).code == "duplicate_file"


def test_a_zip_bomb_stops_while_it_unpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LONGEST_UNPACKED", 1 << 20)
    bomb = bytes(2 << 20)
    error = refused(archive(ROWS, {"scan": bomb}))
    assert (error.code, error.field) == ("unpacks_too_large", "file 3")


def test_a_bomb_of_a_sheet_stops_while_it_unpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LONGEST_SHEET", 1 << 20)
    assert refused(archive(bytes(2 << 20), {})).code == "unpacks_too_large"


def test_what_a_header_says_of_a_size_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LONGEST_SHEET", 1 << 20)
    body = archive(bytes(2 << 20), {})
    told, small = struct.pack("<I", 2 << 20), struct.pack("<I", 16)
    assert refused(body.replace(told, small)).code in ("archive_unreadable", "unpacks_too_large")


def test_an_archive_of_very_many_files_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 10)
    monkeypatch.setattr(archives, "ZipFile", None)
    many = {f"f{number}": b"" for number in range(20)}
    made = BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as file:
        for name in many:
            file.writestr(name, b"")
    assert refused(made.getvalue()).code == "too_many_files"


def test_an_archive_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LONGEST_ARCHIVE", 10)
    assert refused(archive(ROWS, {})).code == "archive_too_large"


def test_an_encrypted_file_is_refused() -> None:
    body = bytearray(archive(ROWS, {"scan": SCAN}))
    at = body.rindex(b"PK\x01\x02")
    body[at + 8] |= 1
    assert refused(bytes(body)).code == "unsupported_file"


@pytest.mark.parametrize("method", [ZIP_BZIP2, ZIP_LZMA])
def test_a_file_that_is_neither_stored_nor_deflated_is_refused(method: int) -> None:
    made = BytesIO()
    with ZipFile(made, "w", method) as file:
        file.writestr("consents.csv", ROWS)
        file.writestr("MANIFEST.sha256", b"")
    error = refused(made.getvalue())
    assert (error.code, error.field) == ("unsupported_file", "file 1")


def test_a_manifest_of_too_many_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_LISTED", 2)
    listed = {str(number): b"elsewhere" for number in range(3)}
    assert refused(archive(ROWS, {}, listed)).code == "manifest_too_long"
