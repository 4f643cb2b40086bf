"""A WSGI application to serve."""

# What requests are answered with: what the application saw, as JSON; other answers by path.
APPLICATION = """
import io, json, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    headers = [("Content-Type", "application/json"), ("X-Request-Id", "the application's own")]
    if path == "/large":
        start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "20000")])
        return [b"x" * 20000]
    if path == "/own":
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("X-Frame-Options", "DENY"),
                                  ("Referrer-Policy", "no-referrer")])
        return [b"<!doctype html>"]
    if path == "/page":
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"),
                                  ("Content-Length", "15")])
        return [b"<!doctype html>"]
    if path == "/failing":
        start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"closed for today"]
    if path == "/file":
        start_response("200 OK", [("Content-Type", "text/csv")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"a,b\\n"))
    if path == "/slow":
        time.sleep(1)
    if path == "/length":
        environ["length"] = str(len(environ["wsgi.input"].read()))
    start_response("200 OK", headers)
    return [json.dumps({name: value for name, value in environ.items() if isinstance(value, str)}).encode()]
"""
