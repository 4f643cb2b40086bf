"""A certificate that was given: it comes on standard input, and is kept where only root reads."""

import hashlib
import json
import shutil

from flask_certificate import live
from flask_certificate.places import FULLCHAIN, PRIVKEY, Places, Settings, private_folder, write
from flask_certificate.problem import Problem, say


def install(places: Places, settings: Settings, text: str) -> None:
    """Put the certificate and its key of `{"certificate": PEM, "key": PEM}` into use.

    Raises:
        Problem: it is no such text, or nginx does not take them.
    """
    try:
        given = json.loads(text)
        chain, key = given["certificate"].encode(), given["key"].encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not a letter of it: there is a key in it.
        raise Problem(
            'Standard input holds no {"certificate": …, "key": …}. Run the stack\'s `up`.'
        ) from None
    private_folder(places.folder)
    # Named by both: a pair is never half of one and half of another.
    folder = places.folder / ("own-" + hashlib.sha256(chain + key).hexdigest()[:16])
    private_folder(folder)
    write(folder / FULLCHAIN, chain, 0o600)
    write(folder / PRIVKEY, key, 0o600)
    live.take(places, folder)
    for other in places.folder.glob("own-*"):
        if other != folder:
            shutil.rmtree(str(other), ignore_errors=True)
    say("{} is served on https, until {}".format(settings.names[0], live.valid_until(folder / FULLCHAIN)))
