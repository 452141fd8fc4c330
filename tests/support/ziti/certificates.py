"""The stand-in's own authority: root, intermediate, server and identity certificates, signed tokens."""

import base64
import datetime
import hashlib
import ipaddress
import json
import os
import secrets
import ssl
import tempfile

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

TRUST_DOMAIN = "standin"
ALGORITHMS = {
    "RS256": (lambda: rsa.generate_private_key(65537, 2048), hashes.SHA256(), 0),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), hashes.SHA256(), 32),
    "ES384": (lambda: ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), 48),
    "ES512": (lambda: ec.generate_private_key(ec.SECP521R1()), hashes.SHA512(), 66),
}


def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unbase64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def fingerprint(der):
    """What a session's list of client certificates has."""
    return hashlib.sha1(der).hexdigest()


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def _name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


class Authority:
    """Root -> intermediate -> every leaf. `skew` moves the lifetime of what it issues from then on."""

    def __init__(self, algorithm="RS256", skew=0):
        self.algorithm = algorithm
        self.skew = datetime.timedelta(seconds=skew)
        make, self._digest, self._half = ALGORITHMS[algorithm]
        root_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        mark = secrets.token_hex(4)  # two networks' authorities have two names
        self.root = self._issue(_name(f"stand-in root {mark}"), root_key.public_key(), None, root_key, authority=True)
        self.intermediate = self._issue(
            _name(f"stand-in intermediate {mark}"), self._key.public_key(), self.root, root_key, authority=True
        )
        self.server_key = make()
        self.renew()

    def renew(self):
        """A new server certificate, with the skew of now."""
        names = [x509.DNSName("localhost")]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
        self.server = self._leaf(_name("stand-in"), self.server_key.public_key(), names)

    def _issue(self, subject, key, issuer, issuer_key, *, authority=False, names=()):
        now = datetime.datetime.now(datetime.timezone.utc) + self.skew
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def _leaf(self, subject, key, names):
        return self._issue(subject, key, self.intermediate, self._key, names=names)

    def sign_request(self, request_pem, identity_id):
        """The chain, leaf first, for a certificate request; ValueError if it is none."""
        request = x509.load_pem_x509_csr(request_pem)
        if not request.is_signature_valid:
            raise ValueError("the request's signature does not fit")
        uri = x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/identity/{identity_id}")
        leaf = self._leaf(request.subject, request.public_key(), [uri])
        return leaf, pem(leaf) + pem(self.intermediate)

    def identity_of(self, certificate_der):
        """The identity id in the certificate's SPIFFE name, or None."""
        names = x509.load_der_x509_certificate(certificate_der).extensions
        try:
            uris = names.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return None
        for uri in uris.get_values_for_type(x509.UniformResourceIdentifier):
            if uri.startswith(f"spiffe://{TRUST_DOMAIN}/identity/"):
                return uri.rsplit("/", 1)[1]
        return None

    def bundle(self):
        return pem(self.root) + pem(self.intermediate)

    def pkcs7(self):
        """The certificates alone as PKCS#7, the set not sorted, as the real controller sends it."""
        signed_data = bytes.fromhex("06092a864886f70d010702")
        data = bytes.fromhex("06092a864886f70d010701")
        certificates = sorted((der(self.root), der(self.intermediate)), reverse=True)
        content = _tlv(
            0x30, b"\x02\x01\x01", _tlv(0x31), _tlv(0x30, data), _tlv(0xA0, *certificates), _tlv(0x31)
        )
        return _tlv(0x30, signed_data, _tlv(0xA0, content))

    def tls(self, alpn, *, required, also=()):
        """A server's context. Leaf-only clients pass: the intermediate is trusted as it is."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=self.bundle() + "".join(also))
        context.set_alpn_protocols(alpn)
        key = self.server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        handle, path = tempfile.mkstemp(suffix=".pem")
        try:
            with open(handle, "w", encoding="ascii") as file:
                file.write(pem(self.server) + pem(self.intermediate) + key)
            context.load_cert_chain(path)
        finally:
            os.unlink(path)
        return context

    def sign(self, claims):
        """A compact JWS by the server's key."""
        header = base64url(json.dumps({"alg": self.algorithm, "kid": "standin", "typ": "JWT"}).encode())
        signed = f"{header}.{base64url(json.dumps(claims).encode())}"
        if self._half:
            r, s = decode_dss_signature(self.server_key.sign(signed.encode(), ec.ECDSA(self._digest)))
            signature = r.to_bytes(self._half, "big") + s.to_bytes(self._half, "big")
        else:
            signature = self.server_key.sign(signed.encode(), padding.PKCS1v15(), self._digest)
        return f"{signed}.{base64url(signature)}"

    def claims(self, token):
        """The claims of a token that this authority signed; ValueError for any other."""
        parts = token.split(".")
        if len(parts) != 3:
            raise ValueError("token is malformed: token contains an invalid number of segments")
        signed, signature = f"{parts[0]}.{parts[1]}".encode(), unbase64url(parts[2])
        try:
            if self._half:
                r, s = (int.from_bytes(half, "big") for half in (signature[: self._half], signature[self._half :]))
                self.server_key.public_key().verify(encode_dss_signature(r, s), signed, ec.ECDSA(self._digest))
            else:
                self.server_key.public_key().verify(signature, signed, padding.PKCS1v15(), self._digest)
        except InvalidSignature:
            raise ValueError("token signature is invalid: crypto/rsa: verification error") from None
        return json.loads(unbase64url(parts[1]))
