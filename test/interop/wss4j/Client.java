import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.StringWriter;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Instant;
import java.time.LocalDate;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.apache.ws.security.WSConstants;
import org.apache.ws.security.WSEncryptionPart;
import org.apache.ws.security.WSSecurityEngine;
import org.apache.ws.security.components.crypto.Merlin;
import org.apache.ws.security.message.WSSecHeader;
import org.apache.ws.security.message.WSSecSignature;
import org.apache.ws.security.message.WSSecTimestamp;
import org.w3c.dom.Document;
import org.w3c.dom.NodeList;

/**
 * One IDB V1 call signed by WSS4J, the engine of CXF and Spring-WS. The modes
 * are the ways it has of naming the certificate. Prints "answer CODE" or
 * "fault RPNnnn ..."; exits 0 when that is what --expect says. The signature
 * of an answer is checked by WSS4J, with the chain of --answer-ca.
 */
public class Client {
    static final String RPN = "urn:rpn:erreur:1";
    static final String ACTION = "urn:roc:idb:1.0.0:interroger";
    static final char[] PASSWORD = "interop".toCharArray();

    public static void main(String[] args) throws Exception {
        Map<String, String> a = arguments(args);
        Document message = message(a);
        sign(message, a);
        byte[] bytes = bytes(message);
        if (a.containsKey("alter")) {
            bytes = altered(bytes);
        }
        Document answer = parse(post(bytes, a));
        String got = outcome(answer, a);
        System.out.println(got);
        if (!got.split(" ")[1].equals(a.get("expect"))) {
            System.err.println("expected " + a.get("expect"));
            System.exit(1);
        }
    }

    static Map<String, String> arguments(String[] args) {
        Map<String, String> a = new HashMap<>(Map.of("mode", "direct", "soap", "12"));
        for (int i = 0; i < args.length; i++) {
            String name = args[i].substring(2);
            a.put(name, name.equals("alter") ? "" : args[++i]);
        }
        return a;
    }

    static String envelopeSpace(Map<String, String> a) {
        return a.get("soap").equals("11") ? WSConstants.URI_SOAP11_ENV : WSConstants.URI_SOAP12_ENV;
    }

    static Document message(Map<String, String> a) throws Exception {
        return parse(("""
            <soap:Envelope xmlns:soap="%s"><soap:Header/><soap:Body><ns2:interroger xmlns:ns2="urn:roc:idb:1.0.0">\
            <requete><version>R01</version><date_demande>%s</date_demande><editeur>EDITEUR DEMO</editeur><logiciel>GAP-DEMO-0001</logiciel><version_logiciel>12.4</version_logiciel></requete>\
            <etablissement><finess_ej>%s</finess_ej></etablissement>\
            <adressage><numero_amc>%s</numero_amc><code_type_convention>RO</code_type_convention><domaine_conventionnel>HOSP</domaine_conventionnel></adressage>\
            <beneficiaire><numero_adherent>ADH0000001</numero_adherent><nom>FICTIF</nom><prenom>Zoé</prenom><date_naissance>1980-02-29</date_naissance></beneficiaire>\
            <contexte><nature>SEJOUR</nature><date_debut>%s</date_debut><duree_moyenne_sejour>3</duree_moyenne_sejour><discipline_prestation>03</discipline_prestation></contexte>\
            </ns2:interroger></soap:Body></soap:Envelope>""").formatted(
                envelopeSpace(a), Instant.now().truncatedTo(ChronoUnit.SECONDS), a.get("finess"), a.get("amc"), LocalDate.now())
            .getBytes(StandardCharsets.UTF_8));
    }

    /** What CXF does: a Timestamp, then a signature that stands before it. */
    static void sign(Document message, Map<String, String> a) throws Exception {
        WSSecHeader security = new WSSecHeader();
        security.insertSecurityHeader(message);
        WSSecTimestamp stamp = new WSSecTimestamp();
        stamp.setTimeToLive(300);
        stamp.build(message, security);

        WSSecSignature signature = new WSSecSignature();
        signature.setUserInfo("signer", new String(PASSWORD));
        signature.setKeyIdentifierType(WSConstants.BST_DIRECT_REFERENCE);
        signature.setSignatureAlgorithm("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
        signature.setDigestAlgo("http://www.w3.org/2001/04/xmlenc#sha256");
        switch (a.get("mode")) {
            case "direct" -> { }
            case "pkipath" -> signature.setUseSingleCertificate(false);
            case "keyidentifier" -> signature.setKeyIdentifierType(WSConstants.X509_KEY_IDENTIFIER);
            case "sha512" -> {
                signature.setSignatureAlgorithm("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512");
                signature.setDigestAlgo("http://www.w3.org/2001/04/xmlenc#sha512");
            }
            case "issuerserial" -> signature.setKeyIdentifierType(WSConstants.ISSUER_SERIAL); // the library's default
            case "ski" -> signature.setKeyIdentifierType(WSConstants.SKI_KEY_IDENTIFIER);
            case "thumbprint" -> signature.setKeyIdentifierType(WSConstants.THUMBPRINT_IDENTIFIER);
            case "sha1" -> { // the library's default
                signature.setSignatureAlgorithm(null);
                signature.setDigestAlgo(WSConstants.SHA1);
            }
            case "body-only" -> { } // the library's default, see below
            case "strtransform" -> { } // see below
            default -> throw new IllegalArgumentException("mode " + a.get("mode"));
        }
        List<WSEncryptionPart> parts = new ArrayList<>();
        parts.add(new WSEncryptionPart("Body", envelopeSpace(a), "Content"));
        if (!a.get("mode").equals("body-only")) {
            parts.add(new WSEncryptionPart("Timestamp", WSConstants.WSU_NS, "Content"));
        }
        if (a.get("mode").equals("strtransform")) {
            parts.add(new WSEncryptionPart("STRTransform", WSConstants.WSSE_NS, "Content"));
        }
        signature.setParts(parts);
        signature.build(message, signer(a), security);
    }

    static Merlin signer(Map<String, String> a) throws Exception {
        Merlin crypto = new Merlin();
        crypto.setKeyStore(keyStore("signer", a.get("sign-key"), a.get("sign-chain")));
        return crypto;
    }

    static byte[] bytes(Document message) throws Exception {
        Transformer t = TransformerFactory.newInstance().newTransformer();
        t.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, "yes");
        StringWriter out = new StringWriter();
        t.transform(new DOMSource(message), new StreamResult(out));
        return out.toString().getBytes(StandardCharsets.UTF_8);
    }

    static byte[] altered(byte[] message) {
        String text = new String(message, StandardCharsets.UTF_8);
        if (text.split("FICTIF", -1).length != 2) {
            throw new IllegalStateException("the name is not once in the message");
        }
        return text.replace("FICTIF", "FICTIV").getBytes(StandardCharsets.UTF_8);
    }

    static byte[] post(byte[] message, Map<String, String> a) throws Exception {
        HttpsURLConnection c = (HttpsURLConnection) new URL(a.get("url")).openConnection();
        c.setSSLSocketFactory(tls(a).getSocketFactory());
        c.setConnectTimeout(20_000);
        c.setReadTimeout(20_000);
        c.setDoOutput(true);
        if (a.get("soap").equals("11")) {
            c.setRequestProperty("Content-Type", "text/xml; charset=UTF-8");
            c.setRequestProperty("SOAPAction", '"' + ACTION + '"');
        } else {
            c.setRequestProperty("Content-Type", "application/soap+xml; charset=UTF-8; action=\"" + ACTION + '"');
        }
        try (OutputStream out = c.getOutputStream()) {
            out.write(message);
        }
        try (InputStream in = c.getResponseCode() < 400 ? c.getInputStream() : c.getErrorStream()) {
            return in.readAllBytes();
        }
    }

    static SSLContext tls(Map<String, String> a) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(keyStore("auth", a.get("key"), a.get("cert")), PASSWORD);
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trustStore(a.get("ca")));
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return tls;
    }

    static String outcome(Document answer, Map<String, String> a) throws Exception {
        NodeList errors = answer.getElementsByTagNameNS(RPN, "Erreur");
        if (errors.getLength() > 0) {
            NodeList reasons = answer.getElementsByTagNameNS(envelopeSpace(a), "Text");
            if (reasons.getLength() == 0) {
                reasons = answer.getElementsByTagName("faultstring");
            }
            String code = errors.item(0).getAttributes().getNamedItem("code").getNodeValue();
            return "fault " + code + " " + reasons.item(0).getTextContent();
        }
        Merlin trusted = new Merlin();
        trusted.setTrustStore(trustStore(a.get("answer-ca")));
        if (new WSSecurityEngine().processSecurityHeader(answer, null, null, trusted) == null) {
            throw new IllegalStateException("the answer is not signed");
        }
        return "answer " + answer.getElementsByTagName("CodeCR").item(0).getTextContent();
    }

    static Document parse(byte[] text) throws Exception {
        DocumentBuilderFactory f = DocumentBuilderFactory.newInstance();
        f.setNamespaceAware(true);
        return f.newDocumentBuilder().parse(new ByteArrayInputStream(text));
    }

    static KeyStore keyStore(String alias, String keyFile, String chainFile) throws Exception {
        KeyStore store = empty();
        String pem = Files.readString(Path.of(keyFile)).replaceAll("-----[A-Z ]+-----|\\s", "");
        List<X509Certificate> chain = certificates(chainFile);
        PrivateKey key = KeyFactory.getInstance(chain.get(0).getPublicKey().getAlgorithm()).generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));
        store.setKeyEntry(alias, key, PASSWORD, chain.toArray(Certificate[]::new));
        return store;
    }

    static KeyStore trustStore(String file) throws Exception {
        KeyStore store = empty();
        int i = 0;
        for (X509Certificate c : certificates(file)) {
            store.setCertificateEntry("ca" + i++, c);
        }
        return store;
    }

    static KeyStore empty() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, PASSWORD);
        return store;
    }

    static List<X509Certificate> certificates(String file) throws Exception {
        List<X509Certificate> all = new ArrayList<>();
        try (InputStream in = new FileInputStream(file)) {
            for (Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                all.add((X509Certificate) c);
            }
        }
        return all;
    }
}
