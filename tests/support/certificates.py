"""Certificates for a lab, made by openssl: one authority and what it signs. Keys are P-256, valid for two days."""
import lab


class Authority:
    def __init__(self, the_lab, name="ca"):
        self.dir = the_lab.dir
        self.certificate, self._key = self.dir / f"{name}.pem", self.dir / f"{name}.key"
        self._make(self.certificate, self._key, "IF test authority", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")

    def issue(self, name, *alternatives):
        """A key pair; `alternatives` as in "IP:10.1.0.1" or "DNS:gw.example". Returns (certificate, key): files anybody can read."""
        certificate, key = self.dir / f"{name}.pem", self.dir / f"{name}.key"
        self._make(certificate, key, name, "basicConstraints=critical,CA:FALSE", "subjectAltName=" + ",".join(alternatives), signed=True)
        return certificate, key

    def _make(self, certificate, key, name, *extensions, signed=False):
        more = [word for extension in extensions for word in ("-addext", extension)]
        authority = ["-CA", self.certificate, "-CAkey", self._key] if signed else []
        lab.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", key, "-out", certificate, *authority, *more)
        key.chmod(0o644)  # the control plane is another user
