"""The package's front for the console: everything that a browser can ask about operators, put together."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.database import Database
from gateway.identity.operators.attempts import Attempts
from gateway.identity.operators.ceremonies import Ceremonies
from gateway.identity.operators.company import CompanySignIn
from gateway.identity.operators.directory import OperatorDirectory
from gateway.identity.operators.enrolment import Enrolment
from gateway.identity.operators.entries import Refusals
from gateway.identity.operators.operator import Act, SignedIn
from gateway.identity.operators.passkeys import Passkeys
from gateway.identity.operators.provider import Provider, ProviderSettings
from gateway.identity.operators.sessions import Sessions
from gateway.identity.operators.sign_in import PasskeySignIn
from gateway.identity.operators.site import Site
from gateway.identity.security_log import SecurityLog
from gateway.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Operators:
    """What the console works with. `company` is None where no provider is configured."""

    site: Site
    directory: OperatorDirectory
    sessions: Sessions
    enrolment: Enrolment
    passkeys: PasskeySignIn
    company: CompanySignIn | None
    refusals: Refusals
    attempts: Attempts

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        clock: Clock,
        log: SecurityLog,
        directory: OperatorDirectory,
        *,
        base_url: str,
        provider: ProviderSettings | None,
    ) -> Operators:
        """The parts of the site at `base_url` over one database."""
        site = Site.of(base_url)
        sessions = Sessions(database, ledger, clock)
        passkeys, ceremonies = Passkeys(site), Ceremonies(database, clock, log)
        refusals = Refusals(ledger, clock, log)
        company = None
        if provider is not None:
            company = CompanySignIn(database, ledger, clock, Provider(provider, clock), ceremonies, sessions, refusals)
        return cls(
            site=site,
            directory=directory,
            sessions=sessions,
            enrolment=Enrolment(database, ledger, clock, passkeys, ceremonies, sessions, refusals),
            passkeys=PasskeySignIn(database, ledger, clock, passkeys, ceremonies, sessions, refusals),
            company=company,
            refusals=refusals,
            attempts=Attempts(clock),
        )

    async def is_confirmed(self, signed_in: SignedIn, act: Act, ticket: str, answer: str) -> bool:
        """Whether the operator has just confirmed exactly this act (step-up): by the passkey's answer, which must
        hold, or at the provider. False: the provider is still to be asked. The confirmation is spent.
        """
        if self.company is not None and signed_in.method == "oidc":
            return await self.company.confirm(signed_in, act)
        await self.passkeys.confirm(signed_in, act, ticket, answer)
        return True
