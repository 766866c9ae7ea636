"""What a database's error means to a person: a StorageError with what, where and what next.

Constraint violations and wrong SQL are not translated: they are defects or races of the caller, who knows what they mean.
"""

from whorl.errors import StorageError

# Result codes: https://sqlite.org/rescode.html (extended names start with the primary one).
_SQLITE = {
    "SQLITE_FULL": ("The disk is full; nothing was written.", "Free space there, then try again."),
    "SQLITE_IOERR": ("Reading or writing the disk failed ({error}).", "Check the disk and its free space."),
    "SQLITE_NOTADB": ("This file is not a ledger.", "Name another place, or move the file away."),
    "SQLITE_CORRUPT": ("The ledger is damaged ({error}).", "Restore it from a backup."),
    "SQLITE_CANTOPEN": ("The ledger cannot be opened.", "Check that the directory is there and writable."),
    "SQLITE_READONLY": ("The ledger cannot be written ({error}).", "Check who may write the file and its directory."),
}  # fmt: skip
# SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL = {
    "53100": ("The database's disk is full; nothing was written.", "Free space there, then try again."),
    "53": ("The database has no resources left ({error}).", "Try again later, or give it more."),
    "57P": ("The database was stopped ({error}).", "Try again when it is up."),
    "28": ("The database refuses this user ({error}).", "Check user and password."),
    "3D": ("There is no such database.", "Create it, or name another one."),
    "08": ("The database cannot be reached ({error}).", "Check that it is up and the URL is right."),
    "25006": ("This transaction only reads.", "Write inside `Ledger.write()`."),
    "42501": ("The database's user may not do this ({error}).", "Grant it, or use another user."),
}


def explain(original: BaseException | None, where: str, wait_s: float) -> StorageError | None:
    """The error in a person's words; None when it is the caller's own to handle.

    Args:
        original: As the driver raised it.
        where: The ledger's place, without a password.
        wait_s: How long a writer waits for another one, in seconds.
    """
    name = getattr(original, "sqlite_errorname", None)
    if str(name).startswith("SQLITE_BUSY"):
        return busy(where, wait_s)
    if name is not None:
        table, code = _SQLITE, str(name)
    else:
        # psycopg gives no state when there was no server to give one.
        lost = type(original).__name__ == "OperationalError"
        table, code = _POSTGRESQL, getattr(original, "sqlstate", None) or ("08" if lost else "")
    for start, (message, hint) in table.items():
        if code.startswith(start):
            reason = " ".join(str(original).split())
            return StorageError(message.format(error=reason), where=where, hint=hint, reason=code)
    return None


def busy(where: str, wait_s: float) -> StorageError:
    """The error of a writer whose turn did not come."""
    return StorageError(
        f"Somebody else has been writing the ledger for {wait_s:g} s.",
        where=where,
        hint="Try again when that is done.",
        reason="busy",
    )
