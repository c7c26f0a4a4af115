"""What to do about an error of the system, where that is known: one place for all messages."""

from __future__ import annotations

import errno

_ROOM, _RIGHTS = "Make room.", "Use a place that you may read and write."
ADVICE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "Raise the limit of a file's size (ulimit -f).",
    errno.EMFILE: "Raise the limit of open files (ulimit -n).",
    errno.ENFILE: "Close other programs: the system has too many open files.",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "Use a place that can be written.",
    errno.ENOLCK: "Use a folder on a file system with locks.",
}


def advice(error: BaseException, otherwise: str = "") -> str:
    """A sentence, `otherwise` for an error that says nothing of what to do.

    >>> advice(OSError(errno.ENOSPC, "full")), advice(OSError("?"), "Try again.")
    ('Make room.', 'Try again.')
    """
    return ADVICE.get(getattr(error, "errno", None) or 0, otherwise)
