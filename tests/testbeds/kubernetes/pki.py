"""Keys, certificates, kubeconfigs and sign-in tokens of the testbed.

python pki.py make FOLDER API_PORT ISSUER_PORT     once; does nothing if the folder is complete
python pki.py node FOLDER API_PORT NAME ADDRESS    what the real node needs, likewise
python pki.py token FOLDER ISSUER_PORT USER [GROUP...]
"""

import base64
import datetime
import ipaddress
import json
import pathlib
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUDIENCE = "govpool"
# file: (authority, common name, organisation); the organisation is the user's group
CLIENTS = {
    "admin": ("ca", "admin", "system:masters"),
    "kwok": ("ca", "kwok", "system:masters"),
    "controller-manager": ("ca", "system:kube-controller-manager", None),
    "scheduler": ("ca", "system:kube-scheduler", None),
    "front-proxy-client": ("front-proxy-ca", "front-proxy-client", None),
    "etcd-client": ("etcd-ca", "kube-apiserver", None),
}
SERVERS = {
    "apiserver": (
        "ca",
        ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"],
        ["10.96.0.1"],
    ),
    "etcd": ("etcd-ca", [], []),
    "localhost": ("ca", [], []),
}


def name(common, organisation=None):
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def write_key(path, key):
    path.touch(0o600)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def certificate(folder, file, subject, authority=None, usage=(), names=(), addresses=()):
    """Writes file.crt and file.key; without an authority it is one itself: (key, cert)."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key, issuer = authority or (key, None)
    now = datetime.datetime.now(datetime.UTC)
    build = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .issuer_name(issuer.subject if issuer else subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=not issuer,
                crl_sign=not issuer,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        # Python 3.13 and later refuse a chain without it
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    )
    if usage:
        build = build.add_extension(x509.ExtendedKeyUsage(usage), False)
    if names or addresses:
        build = build.add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(n) for n in names] + [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
            ),
            False,
        )
    cert = build.sign(issuer_key, hashes.SHA256())
    (folder / f"{file}.crt").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    write_key(folder / f"{file}.key", key)
    return key, cert


def kubeconfig(folder, user, port):
    """Two contexts: the user's own, and `nobody`, which sends no credentials."""

    def data(file):
        return base64.b64encode((folder / file).read_bytes()).decode()

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": user,
        "clusters": [
            {"name": "testbed", "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": data("ca.crt")}}
        ],
        "users": [
            {"name": user, "user": {"client-certificate-data": data(f"{user}.crt"), "client-key-data": data(f"{user}.key")}},
            {"name": "nobody", "user": {}},
        ],
        "contexts": [{"name": u, "context": {"cluster": "testbed", "user": u}} for u in (user, "nobody")],
    }
    path = folder / f"{user}.kubeconfig"
    path.touch(0o600)
    path.write_text(json.dumps(config, indent=1))


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def issuer_url(port):
    return f"https://127.0.0.1:{port}"


def publish(folder, port):
    """What an OpenID provider shows to the API server: where its keys are, and the keys."""
    key = serialization.load_pem_private_key((folder / "sign-in.key").read_bytes(), None)
    numbers = key.public_key().public_numbers()
    web = folder / "issuer"
    (web / ".well-known").mkdir(parents=True, exist_ok=True)
    (web / ".well-known/openid-configuration").write_text(
        json.dumps(
            {
                "issuer": issuer_url(port),
                "jwks_uri": issuer_url(port) + "/jwks",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        )
    )
    (web / "jwks").write_text(
        json.dumps(
            {
                "keys": [
                    {
                        "kty": "EC",
                        "crv": "P-256",
                        "use": "sig",
                        "alg": "ES256",
                        "kid": "testbed",
                        "x": b64(numbers.x.to_bytes(32, "big")),
                        "y": b64(numbers.y.to_bytes(32, "big")),
                    }
                ]
            }
        )
    )


def make(folder, api_port, issuer_port):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "complete").exists():
        authorities = {ca: certificate(folder, ca, name(f"testbed {ca}")) for ca in ("ca", "etcd-ca", "front-proxy-ca")}
        for file, (ca, common, group) in CLIENTS.items():
            certificate(folder, file, name(common, group), authorities[ca], [ExtendedKeyUsageOID.CLIENT_AUTH])
        for file, (ca, names, addresses) in SERVERS.items():
            certificate(
                folder,
                file,
                name(file),
                authorities[ca],
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
                ["localhost", *names],
                ["127.0.0.1", "::1", *addresses],
            )
        accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        write_key(folder / "service-account.key", accounts)
        (folder / "service-account.pub").write_bytes(
            accounts.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        write_key(folder / "sign-in.key", ec.generate_private_key(ec.SECP256R1()))
        (folder / "complete").touch()
    for user in ("admin", "kwok", "controller-manager", "scheduler"):
        kubeconfig(folder, user, api_port)
    publish(folder, issuer_port)


def node(folder, api_port, host, address):
    """A kubelet's two certificates, and the one by which it knows the API server."""
    if not (folder / "kubelet-server.crt").exists():
        authority = (
            serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None),
            x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes()),
        )
        for file, common, group in (
            ("kubelet", f"system:node:{host}", "system:nodes"),
            ("kubelet-client", "kube-apiserver", "system:masters"),
        ):
            certificate(folder, file, name(common, group), authority, [ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate(folder, "kubelet-server", name(host), authority, [ExtendedKeyUsageOID.SERVER_AUTH], [host], [address])
    kubeconfig(folder, "kubelet", api_port)


def token(folder, issuer_port, user, groups=(), seconds=3600):
    """An ID token as the department's sign-in would give it; `seconds` may be negative."""
    key = serialization.load_pem_private_key((folder / "sign-in.key").read_bytes(), None)
    now = int(time.time())
    claims = {
        "iss": issuer_url(issuer_port),
        "aud": AUDIENCE,
        "sub": user,
        "groups": list(groups),
        "iat": now,
        "exp": now + seconds,
    }
    text = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT", "kid": "testbed"}, claims))
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


if __name__ == "__main__":
    verb, where, *rest = sys.argv[1:]
    if verb == "make":
        make(pathlib.Path(where), *map(int, rest))
    elif verb == "node":
        node(pathlib.Path(where), int(rest[0]), *rest[1:])
    else:
        print(token(pathlib.Path(where), int(rest[0]), rest[1], rest[2:]))
