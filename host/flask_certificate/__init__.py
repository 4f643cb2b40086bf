"""The certificate of a site, on its server. Python 3.6 and its standard library, and the program openssl."""
