"""UTF-8 for names, arguments, variables and words, whatever the locale of the caller.

Python 3.6 takes its encoding from the locale, and LC_ALL=C, which an SSH session often brings and a service may have,
means ASCII there; newer ones take it from a locale that names another. It is settled when Python starts, so it has to
start anew. What is started from here on, pip and the application, finds the locale, too.
"""

import locale
import os
import sys

# The second is CentOS 7's, which has no UTF-8 without a language.
_LOCALES = ("C.UTF-8", "en_US.UTF-8")


def ensure() -> None:
    """Start this program anew in a locale of UTF-8, unless it has one, or the system has none."""
    if sys.getfilesystemencoding().lower() == "utf-8":
        return
    found = next((name for name in _LOCALES if _is_there(name)), None)
    # The second time it would be the same.
    if found is None or os.environ.get("LC_ALL") == found:
        return
    os.environ["LC_ALL"] = found
    flags = {"-I": sys.flags.isolated, "-S": sys.flags.no_site, "-B": sys.flags.dont_write_bytecode}
    os.execv(sys.executable, [sys.executable, *(flag for flag in flags if flags[flag]), *sys.argv])


def _is_there(name: str) -> bool:
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return False
    return True
