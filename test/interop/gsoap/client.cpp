// One IDB V1 call with gSOAP and its wsse plugin, on the code that wsdl2h and
// soapcpp2 make from the WSDL that the RPN serves. The modes: "default",
// SHA-256; "sha512"; "not-canonical", without SOAP_XML_CANONICAL, what the
// manual warns about; "sha1"; "body-only", the Timestamp left unsigned. Prints
// "answer CODE" or "fault RPNnnn ..."; exits with 0 when that is what --expect
// says. The signature of an answer is not checked: the plugin reads an ECDSA
// value as DER, where XML has r and s side by side, and those of the nation's
// insurers are ECDSA.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <stdexcept>
#include <string>

#include "AnnuaireSoap11.nsmap"
#include "wsseapi.h"

typedef std::map<std::string, std::string> Arguments;

static Arguments arguments(int argc, char **argv) {
    Arguments a;
    a["mode"] = "default";
    a["soap"] = "12";
    for (int i = 1; i < argc; i++) {
        std::string name = argv[i] + 2;
        a[name] = name == "alter" || i + 1 == argc ? "" : argv[++i];
    }
    return a;
}

static void must(bool ok, const std::string &what) {
    if (!ok)
        throw std::runtime_error(what);
}

// Sends what gSOAP signed, but for one letter of the name.
static int (*sends)(struct soap *, const char *, size_t);

static int sendAltered(struct soap *soap, const char *data, size_t size) {
    std::string chunk(data, size);
    size_t at = chunk.find("FICTIF");
    if (at != std::string::npos)
        chunk.replace(at, 6, "FICTIV");
    return sends(soap, chunk.data(), chunk.size());
}

template <class T> static T *readPEM(const std::string &file, T *(*read)(FILE *, T **, pem_password_cb *, void *)) {
    FILE *f = fopen(file.c_str(), "r");
    must(f, file);
    T *read_ = read(f, NULL, NULL, NULL);
    fclose(f);
    must(read_, file);
    return read_;
}

// gSOAP wants the TLS certificate and its key in one file.
static std::string together(const std::string &key, const std::string &certificate) {
    char name[] = "/tmp/gsoap-client-XXXXXX";
    int fd = mkstemp(name);
    must(fd >= 0, "mkstemp");
    FILE *out = fdopen(fd, "w");
    for (const std::string &file : {key, certificate}) {
        FILE *in = fopen(file.c_str(), "r");
        must(in, file);
        for (int c; (c = getc(in)) != EOF;)
            putc(c, out);
        fclose(in);
    }
    fclose(out);
    return name;
}

// soapcpp2 wrote the table of SOAP 1.2; its first two lines decide the version.
static const struct Namespace *table(const std::string &version) {
    if (version == "11") {
        namespaces[0].ns = "http://schemas.xmlsoap.org/soap/envelope/";
        namespaces[1].ns = "http://schemas.xmlsoap.org/soap/encoding/";
    }
    return namespaces;
}

static void sign(struct soap *soap, Arguments &a, X509 *certificate, EVP_PKEY *key) {
    const std::string &mode = a["mode"];
    int algorithm = mode == "sha512" ? SOAP_SMD_SIGN_RSA_SHA512 : mode == "sha1" ? SOAP_SMD_SIGN_RSA_SHA1 : SOAP_SMD_SIGN_RSA_SHA256;
    must(soap_wsse_add_Timestamp(soap, "Timestamp", 300) == SOAP_OK, "Timestamp");
    must(soap_wsse_add_BinarySecurityTokenX509(soap, "X509Token", certificate) == SOAP_OK, "token");
    must(soap_wsse_add_KeyInfo_SecurityTokenReferenceX509(soap, "#X509Token") == SOAP_OK, "KeyInfo");
    must(soap_wsse_sign_body(soap, algorithm, key, 0) == SOAP_OK, "signature");
    if (mode == "body-only")
        must(soap_wsse_sign_only(soap, "Body") == SOAP_OK, "signature of the Body alone");
}

static std::string call(struct soap *soap, Arguments &a) {
    commun__Requete requete;
    requete.date_USCOREdemande = time(NULL);
    requete.editeur = "EDITEUR DEMO";
    requete.logiciel = "GAP-DEMO-0001";
    requete.version_USCORElogiciel = "12.4";
    commun__EtablissementV1 etablissement;
    etablissement.finess_USCOREej = a["finess"];
    commun__Adressage adressage;
    std::string convention = "RO";
    adressage.numero_USCOREamc = a["amc"];
    adressage.code_USCOREtype_USCOREconvention = &convention;
    adressage.domaine_USCOREconventionnel = commun__Domaine__HOSP;
    commun__Beneficiaire beneficiaire;
    beneficiaire.numero_USCOREadherent = "ADH0000001";
    beneficiaire.nom = "FICTIF";
    beneficiaire.prenom = "Zo\xc3\xa9";
    beneficiaire.date_USCOREnaissance = "1980-02-29";
    _idb__interroger question;
    question.requete = &requete;
    question.etablissement = &etablissement;
    question.adressage = &adressage;
    question.beneficiaire = &beneficiaire;
    _idb__interrogerReponse answer;
    if (soap_call___roc__interroger(soap, a["url"].c_str(), NULL, &question, answer) == SOAP_OK)
        return "answer " + answer.CR->CodeCR;
    struct SOAP_ENV__Detail *detail = !soap->fault ? NULL : soap->fault->detail ? soap->fault->detail : soap->fault->SOAP_ENV__Detail;
    if (detail && detail->rpn__Erreur)
        return "fault " + detail->rpn__Erreur->code + " " + *soap_faultstring(soap);
    soap_print_fault(soap, stderr);
    return "failed: see above";
}

int main(int argc, char **argv) {
    Arguments a = arguments(argc, argv);
    soap_ssl_init();
    X509 *certificate = readPEM<X509>(a["sign-cert"], PEM_read_X509);
    EVP_PKEY *key = readPEM<EVP_PKEY>(a["sign-key"], PEM_read_PrivateKey);
    std::string identity = together(a["key"], a["cert"]);
    struct soap *soap = soap_new1(SOAP_C_UTFSTRING | (a["mode"] == "not-canonical" ? SOAP_XML_INDENT : SOAP_XML_CANONICAL));
    soap_set_namespaces(soap, table(a["soap"]));
    soap->connect_timeout = soap->recv_timeout = soap->send_timeout = 20;
    must(soap_ssl_client_context(soap, SOAP_SSL_DEFAULT, identity.c_str(), NULL, a["ca"].c_str(), NULL, NULL) == SOAP_OK, "TLS context");
    remove(identity.c_str());
    soap_register_plugin(soap, soap_wsse);
    sign(soap, a, certificate, key);
    if (a.count("alter")) {
        sends = soap->fsend;
        soap->fsend = sendAltered;
    }
    std::string got = call(soap, a);
    puts(got.c_str());
    soap_destroy(soap);
    soap_end(soap);
    soap_free(soap);
    EVP_PKEY_free(key);
    X509_free(certificate);
    if (got.substr(got.find(' ') + 1, a["expect"].size()) != a["expect"]) {
        fprintf(stderr, "expected %s\n", a["expect"].c_str());
        return 1;
    }
    return 0;
}
