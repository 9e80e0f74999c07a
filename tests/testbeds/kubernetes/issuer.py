"""Serves a folder over HTTPS: the keys of the testbed's sign-in, for the API server to read.

python issuer.py PORT CERTIFICATE KEY FOLDER
"""

import functools
import http.server
import ssl
import sys

port, certificate, key, folder = sys.argv[1:]
server = http.server.ThreadingHTTPServer(
    ("127.0.0.1", int(port)), functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(certificate, key)
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
