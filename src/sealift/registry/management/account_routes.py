"""``/api/v1/accounts`` and ``/api/v1/whoami``."""

from collections.abc import Callable

from msgspec import UNSET

from sealift.credentials.credential import SecretText
from sealift.protocol.endpoints import is_name
from sealift.registry.access.audit_trail import AuditTrail
from sealift.registry.access.passwords import PasswordCheck, refuse_weak
from sealift.registry.catalog.accounts import (
    Account,
    account_by_name,
    add_account,
    all_accounts,
    named_account,
    remove_account,
    set_disabled,
    set_password,
    set_quota,
)
from sealift.registry.catalog.database import Catalog, Transaction
from sealift.registry.catalog.storage_use import use_of_owner
from sealift.registry.exchange import Answer, Call
from sealift.registry.management.documents import (
    AccountChange,
    AccountList,
    NewAccount,
    NewPassword,
    WhoAmI,
    account_document,
    read,
    storage_document,
    written,
)
from sealift.registry.management.refusal import ManagementRefusal, admins_only, not_found


class AccountRoutes:
    """Accounts: admins look after all of them, everyone after their own password."""

    def __init__(
        self,
        catalog: Catalog,
        passwords: PasswordCheck,
        audit: AuditTrail,
        *,
        password_changed: Callable[[str], None],
    ) -> None:
        """Make the handlers.

        Args:
            catalog: Where accounts are kept.
            passwords: Hashes new ones.
            audit: Told of every change.
            password_changed: Told the name of an account that has got another
                password, or has gone: the first admin's password file goes then.
        """
        self._catalog = catalog
        self._passwords = passwords
        self._audit = audit
        self._password_changed = password_changed

    async def whoami(self, call: Call) -> Answer:
        """Who the caller is."""
        return written(WhoAmI(name=call.principal.name, admin=call.principal.is_admin))

    async def list(self, call: Call) -> Answer:
        """Every account, for admins; for others, their own."""
        shown = [
            account_document(account)
            for account in all_accounts(self._catalog)
            if call.principal.is_admin or account.id == call.principal.id
        ]
        return written(AccountList(items=shown))

    async def add(self, call: Call) -> Answer:
        """Add an account (201)."""
        if not call.principal.is_admin:
            raise admins_only("adding accounts")
        wanted = await read(call.body, NewAccount)
        if "/" in wanted.name or not is_name(wanted.name):
            raise ManagementRefusal(
                400,
                "INVALID",
                f"{wanted.name!r} cannot be the name of an account",
                why="it is one path component: lower case letters and digits, with . _ __ or - between",
            )
        password = SecretText(wanted.password)
        refuse_weak(wanted.name, password)
        password_hash = await self._passwords.hash(password)
        made = await self._catalog.write(
            lambda transaction: add_account(
                transaction,
                name=wanted.name,
                password_hash=password_hash,
                is_admin=wanted.admin,
                now=self._catalog.now(),
            )
        )
        self._audit.changed(
            call.principal, "account.add", "", made.name + (" (admin)" if made.is_admin else "")
        )
        return written(account_document(made), 201)

    async def show(self, call: Call) -> Answer:
        """One account with what its repositories hold, for admins and for itself."""
        account = self._own(call)
        use = await self._catalog.ask_apart(lambda reader: use_of_owner(reader, account.id))
        document = account_document(account)
        document.storage = storage_document(use, apart=call.principal.is_admin)
        return written(document)

    async def password(self, call: Call) -> Answer:
        """Give an account another password, for admins and for itself. Its tokens end."""
        account = self._own(call)
        password = SecretText((await read(call.body, NewPassword)).password)
        refuse_weak(account.name, password)
        password_hash = await self._passwords.hash(password)
        changed = await self._catalog.write(
            lambda transaction: set_password(
                transaction, name=account.name, password_hash=password_hash, only_id=account.id
            )
        )
        self._password_changed(account.name)
        self._audit.changed(call.principal, "account.password", "", account.name)
        return written(account_document(changed))

    async def change(self, call: Call) -> Answer:
        """Close an account or open it again, which ends its tokens; say how much it may hold."""
        if not call.principal.is_admin:
            raise admins_only("disabling and enabling accounts, and their quotas,")
        wanted = await read(call.body, AccountChange)
        name, disabled, quota = call.path["name"], wanted.disabled, wanted.quota_bytes
        if disabled is UNSET and quota is UNSET:
            raise ManagementRefusal(
                400, "INVALID", "the request changes nothing", hint="give disabled or quotaBytes"
            )

        def write(transaction: Transaction) -> Account:
            changed = named_account(transaction, name)
            if disabled is not UNSET:
                changed = set_disabled(transaction, name=name, disabled=disabled)
            if quota is not UNSET:
                changed = set_quota(transaction, name=name, quota_bytes=quota)
            return changed

        changed = await self._catalog.write(write)
        if disabled is not UNSET:
            self._audit.changed(call.principal, "account.disable" if disabled else "account.enable", "", name)
        if quota is not UNSET:
            detail = f"{name}, {'none' if quota is None else f'{quota} bytes'}"
            self._audit.changed(call.principal, "account.quota", "", detail)
        return written(account_document(changed))

    async def remove(self, call: Call) -> Answer:
        """Remove an account (204); ``?transferTo=`` says who gets its repositories."""
        if not call.principal.is_admin:
            raise admins_only("removing accounts")
        name = call.path["name"]
        transfer_to = call.query.get("transferTo", ("",))[0] or None
        await self._catalog.write(
            lambda transaction: remove_account(transaction, name=name, transfer_to=transfer_to)
        )
        self._password_changed(name)
        detail = f"{name}, repositories to {transfer_to}" if transfer_to else name
        self._audit.changed(call.principal, "account.remove", "", detail)
        return Answer(status=204)

    def _own(self, call: Call) -> Account:
        """The account that the path names, if the caller may look after it."""
        name = call.path["name"]
        account = account_by_name(self._catalog, name)
        if account is None or not (call.principal.is_admin or account.id == call.principal.id):
            raise not_found(f"account {name!r} that you may see")
        return account
