"""Tests of the host's release tool: it runs as a program, against a root folder of its own and stand-ins."""
