"""Releases of one Flask application on one host, without losing a request.

Runs on Python 3.6 with the standard library only, so that it works on every supported system before anything
else is installed. The way of a release is in `release.py` and `activation.py`; which slot is live is decided in
`slots.py`, and nowhere else.
"""
