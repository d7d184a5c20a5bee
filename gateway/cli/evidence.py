"""Evidence out of the gateway (`export`, `proof`, `message`), and its check far from it (`verify…`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress

from gateway.access.export_permits import Extract
from gateway.app import Gateway
from gateway.cli.host import MARKS, act, console, errors, operator, require_folder, told
from gateway.errors import Invalid, NotFound
from gateway.identity import SignedMessage
from gateway.ledger import Draft, Kind
from gateway.ledger.stored import NOT_SIGNED_YET
from gateway.ledger.verify import Outcome, verify
from gateway.ledger.verify_proof import verify_proof


@told
def export_command(
    log: Annotated[str, typer.Argument(help="The log's id: a member's, or the alliance's for the operator's log.")],
    out: Annotated[Path, typer.Option(help="The bundle to write (.zip).", dir_okay=False)],
    first: Annotated[int, typer.Option(help="First entry.", min=0)] = 0,
    last: Annotated[int | None, typer.Option(help="Last entry; default: the newest signed one.", min=0)] = None,
    permit: Annotated[str, typer.Option(help="The approved proposal of `gateway admin export-log` for it.")] = "",
) -> None:
    """Write a stretch of a log, with what proves it, as one bundle, by a permit of two operators; all on record."""
    require_folder(out, option="--out")
    if out.exists():
        raise Invalid("file_exists", f"{out} exists, and may be evidence.", field="--out", remedy="Name another file.")

    async def work(gateway: Gateway) -> str:
        with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
            task = bar.add_task("exporting", total=None)
            manifest = await gateway.exports.write(
                Extract(log, first, last),
                out,
                permit=permit,
                operator=operator(),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        about = f"{manifest.entries} entries of {manifest.origin}, tree size {manifest.size}: {out}"
        return f"[green]✔[/] {escape(about)}"

    console.print(act(work), highlight=False, soft_wrap=True)


def verify_command(
    bundle: Annotated[Path, typer.Argument(help="The bundle to check.", exists=True, dir_okay=False)],
    vkey: Annotated[str, typer.Option(help="The log's verifier key, received out of band.")],
    seen: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint that you hold from earlier; may be repeated.", exists=True, dir_okay=False),
    ] = None,
) -> None:
    """Check a bundle offline. Exit code 0: it holds. 1: tampered. 2: incomplete, or the key is not trusted."""
    held = [_read(path) for path in seen or []]
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("verifying", total=None)
        report = verify(bundle, vkey, held, progress=lambda done: bar.update(task, completed=done))
    told = "; ".join(report.findings)
    if not told and report.manifest is not None:
        told = f"{report.manifest.entries} entries of {report.manifest.origin}, tree size {report.manifest.size}"
    console.print(f"{MARKS[report.outcome]} {report.outcome}: {escape(told)}", highlight=False, soft_wrap=True)
    raise typer.Exit(report.exit_code)


@told
def proof_command(
    log: Annotated[str, typer.Argument(help="The log's id: a member's, or the alliance's for the operator's log.")],
    event_id: Annotated[str, typer.Argument(help="The entry's event id, as its receipt has it.")],
    out: Annotated[Path | None, typer.Option(help="The file to write (.tlog-proof); default: print it.")] = None,
) -> None:
    """Write the proof that one entry stands in its log. It tells the log's size; making it is an entry in that log."""

    async def work(gateway: Gateway) -> bytes:
        try:
            proof = await gateway.tiles.proof(log, event_id)
        except NotFound as error:
            if error.detail == NOT_SIGNED_YET:
                raise
            raise NotFound("There is no such log here, or no entry of that event id in it.") from None
        facts = {"act": "proof_exported", "actor": {"operator": operator()}, "event": event_id}
        await gateway.ledger.record(Draft(log=log, kind=Kind.QUERY, facts=facts))
        return proof

    proof = act(work)
    if out is None:
        typer.echo(proof, nl=False)
        return
    out.write_bytes(proof)
    console.print(
        f"[green]✔[/] {escape(str(out))}; it tells the log's size, so it is the owner's to hand on", highlight=False
    )


def verify_proof_command(
    proof: Annotated[Path, typer.Argument(help="The proof (.tlog-proof).", exists=True, dir_okay=False)],
    vkey: Annotated[str, typer.Option(help="The log's verifier key, received out of band.")],
    receipt: Annotated[Path, typer.Option(help="The receipt: a compact JWS.", exists=True, dir_okay=False)],
    jwks: Annotated[
        Path, typer.Option(help="The gateway's /v1/jwks, received out of band.", exists=True, dir_okay=False)
    ],
) -> None:
    """Check offline that a receipt's entry stands in its log. Exit code 0: it does. 1: no. 2: unread or untrusted."""
    text = _read(receipt).decode("ascii", errors="replace").strip()
    verdict = verify_proof(_read(proof), vkey, text, _read(jwks))
    console.print(f"{MARKS[verdict.outcome]} {escape(verdict.sentence)}", highlight=False, soft_wrap=True)
    raise typer.Exit(verdict.outcome.exit_code)


@told
def message_command(
    digest: Annotated[str, typer.Argument(help="`base_sha256` of a `message` in an entry.")],
    out: Annotated[Path, typer.Option(help="The file to write (.json).")],
) -> None:
    """Write a signed request or answer as it was kept. Handing it out is an entry in the log of who asked."""

    async def work(gateway: Gateway) -> bytes:
        try:
            member, document = await gateway.messages.read(digest)
        except NotFound:
            raise NotFound("No message of that digest is kept.") from None
        facts = {"act": "message_exported", "actor": {"operator": operator()}, "base_sha256": digest}
        await gateway.ledger.record(Draft(log=member, kind=Kind.QUERY, facts=facts))
        return document

    document = act(work)
    out.touch(0o600)
    out.write_bytes(document)
    about = "it quotes an access token, which ends within 5 minutes of its issue"
    console.print(f"[green]✔[/] {escape(str(out))}; {about}", highlight=False)


@told
def verify_message_command(
    file: Annotated[Path, typer.Argument(help="The message to check.", exists=True, dir_okay=False)],
    key: Annotated[str, typer.Option(help="`key` of the entry's `message`: the thumbprint of the signer's key.")],
    digest: Annotated[str, typer.Option(help="`base_sha256` of the entry's `message`.")],
) -> None:
    """Check offline that a message is the one that an entry names, and signed by that key. Exit code 0 or 1."""
    message = SignedMessage.read(file.read_bytes())
    if (message.key.thumbprint, message.sha256) != (key, digest):
        raise Invalid("another_message", "The signature holds, but it is not the message that the entry names.")
    console.print(f"[green]✔[/] signed by {key}: {digest}", highlight=False, soft_wrap=True)


def _read(path: Path) -> bytes:
    """What stands there; where 1 says that something was tampered with, a file that cannot be read is 2."""
    try:
        return path.read_bytes()
    except OSError as error:
        about = escape(f"{error.strerror}: {path}")
        errors.print(f"{MARKS[Outcome.INCOMPLETE]} {about}", highlight=False, soft_wrap=True)
        raise typer.Exit(Outcome.INCOMPLETE.exit_code) from None
