"""One IDB V1 call with zeep, built from the WSDL that the RPN serves.

zeep signs (BinarySignature or Signature, SHA-256), and checks the signature
of the answer with the certificate inside it. Prints "answer CODE" or
"fault RPNnnn"; exits 0 when that is what --expect says. The modes "sha1" and
"no-timestamp" leave one of the library's defaults as it is.
"""
import argparse
import base64
import datetime
import sys

import requests
import xmlsec
import zeep
from lxml import etree
from zeep.transports import Transport
from zeep.wsse import signature, utils

RPN = "{urn:rpn:erreur:1}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
SHA256 = dict(signature_method=xmlsec.Transform.RSA_SHA256, digest_method=xmlsec.Transform.SHA256)


def arguments():
    p = argparse.ArgumentParser()
    for name in ("url", "cert", "key", "ca", "sign-cert", "sign-key", "amc", "finess", "expect"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--mode", choices=["binary", "plain", "sha1", "no-timestamp"], default="binary")
    p.add_argument("--soap", choices=["11", "12"], default="12")
    p.add_argument("--alter", action="store_true", help="change the body after it was signed")
    return p.parse_args()


class Wire(Transport):
    """Sends what zeep signed; with alter, one word of the body is changed."""

    alter = False

    def post(self, address, message, headers):
        if self.alter:
            assert message.count(b"FICTIF") == 1
            message = message.replace(b"FICTIF", b"FICTIV")
        return super().post(address, message, headers)


def signing(mode):
    class Signing(signature.Signature if mode == "plain" else signature.BinarySignature):
        def apply(self, envelope, headers):
            if mode != "no-timestamp":
                self.stamp(envelope)
            return super().apply(envelope, headers)

        def stamp(self, envelope):
            now = datetime.datetime.now(datetime.timezone.utc)
            stamp = utils.WSU.Timestamp(
                utils.WSU.Created(now.isoformat()),
                utils.WSU.Expires((now + datetime.timedelta(minutes=5)).isoformat()),
            )
            utils.get_security_header(envelope).append(stamp)

        def verify(self, envelope):
            # zeep would check with our own certificate: take the answer's.
            if envelope.find(".//" + RPN + "Erreur") is not None:
                return envelope  # the RPN does not sign its faults
            token = envelope.find(".//" + WSSE + "BinarySecurityToken")
            der = base64.b64decode(token.text)
            key = xmlsec.Key.from_memory(der, xmlsec.KeyFormat.CERT_DER)
            signature._verify_envelope_with_key(envelope, key)
            return envelope

    return Signing


def main():
    a = arguments()
    session = requests.Session()
    session.trust_env = False  # else REQUESTS_CA_BUNDLE wins over verify
    session.cert, session.verify = (a.cert, a.key), a.ca
    wire = Wire(session=session)
    algorithms = {} if a.mode == "sha1" else SHA256
    client = zeep.Client(a.url + "?wsdl=v1", transport=wire, wsse=signing(a.mode)(a.sign_key, a.sign_cert, **algorithms))
    port = client.wsdl.services["RocIdbV1"].ports["RocIdbV1Soap" + a.soap]
    service = client.create_service(port.binding.name, a.url)
    wire.alter = a.alter
    got = call(service, a)
    print(got)
    if got.split()[1] != a.expect:
        sys.exit("expected %s" % a.expect)


def call(service, a):
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    today = now.date()
    try:
        answer = service.interroger(
            requete=dict(version="R01", date_demande=now, editeur="EDITEUR DEMO", logiciel="GAP-DEMO-0001", version_logiciel="12.4"),
            etablissement=dict(finess_ej=a.finess),
            adressage=dict(numero_amc=a.amc, code_type_convention="RO", domaine_conventionnel="HOSP"),
            beneficiaire=dict(numero_adherent="ADH0000001", nom="FICTIF", prenom="Zoé", date_naissance=datetime.date(1980, 2, 29)),
            contexte=dict(nature="SEJOUR", date_debut=today, duree_moyenne_sejour=3, discipline_prestation="03"),
        )
    except zeep.exceptions.Fault as f:
        return "fault " + fault_code(f)
    return "answer " + answer.CR.CodeCR


def fault_code(f):
    if f.detail is None:
        return "none: %s" % f.message
    e = f.detail.find(".//" + RPN + "Erreur")
    return "none: " + etree.tostring(f.detail).decode() if e is None else e.get("code") + " " + f.message


main()
