// One IDB V1 call signed by SignedXml, the class of .NET Framework, with the
// habits of WCF: To, Action and MessageID signed beside Body and Timestamp,
// prefixes s, a, u and o, "<a />", Expect: 100-continue. The modes: "default";
// "inclusive", SignedXml's own canonicalization; "sha1"; "key-value", the
// certificate left out; "whole", URI="" and an enveloped signature, as in the
// example of Microsoft's manual. Prints "answer CODE" or "fault RPNnnn ...";
// exits with 0 when that is what --expect says.
using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Security.Cryptography.Xml;
using System.Text;
using System.Xml;

static class Client
{
    const string Wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
    const string Wss = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0";
    const string X509v3 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
    const string Soap11 = "http://schemas.xmlsoap.org/soap/envelope/";
    const string Soap12 = "http://www.w3.org/2003/05/soap-envelope";
    const string Action = "urn:roc:idb:1.0.0:interroger";
    const string RsaSha256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    const string Sha256 = "http://www.w3.org/2001/04/xmlenc#sha256";

    public const string Wsu = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";

    static int Main(string[] args)
    {
        Dictionary<string, string> a = Arguments(args);
        XmlDocument message = Message(a);
        Sign(message, a);
        byte[] bytes = Bytes(message, a);
        string got = Outcome(Post(bytes, a));
        Console.WriteLine(got);
        if (got.Split(' ')[1] == a["expect"])
            return 0;
        Console.Error.WriteLine("expected " + a["expect"]);
        return 1;
    }

    static Dictionary<string, string> Arguments(string[] args)
    {
        var a = new Dictionary<string, string> { { "mode", "default" }, { "soap", "12" } };
        for (int i = 0; i < args.Length; i++)
        {
            string name = args[i].Substring(2);
            a[name] = name == "alter" ? "" : args[++i];
        }
        return a;
    }

    static XmlDocument Message(Dictionary<string, string> a)
    {
        DateTime now = DateTime.UtcNow;
        string instant = now.ToString("yyyy-MM-ddTHH:mm:ssZ");
        string milliseconds = "yyyy-MM-ddTHH:mm:ss.fffZ";
        var der = Convert.ToBase64String(new X509Certificate2(a["sign-cert"]).RawData);
        var doc = new XmlDocument { PreserveWhitespace = true };
        doc.LoadXml(
            "<s:Envelope xmlns:s=\"" + (a["soap"] == "11" ? Soap11 : Soap12) + "\" xmlns:a=\"http://www.w3.org/2005/08/addressing\" xmlns:u=\"" + Wsu + "\"><s:Header>"
            + "<a:Action s:mustUnderstand=\"1\" u:Id=\"_2\">" + Action + "</a:Action>"
            + "<a:MessageID u:Id=\"_3\">urn:uuid:" + Guid.NewGuid() + "</a:MessageID>"
            + "<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>"
            + "<a:To s:mustUnderstand=\"1\" u:Id=\"_4\">" + a["url"] + "</a:To>"
            + "<o:Security s:mustUnderstand=\"1\" xmlns:o=\"" + Wsse + "\">"
            + "<u:Timestamp u:Id=\"_0\"><u:Created>" + now.ToString(milliseconds) + "</u:Created><u:Expires>" + now.AddMinutes(5).ToString(milliseconds) + "</u:Expires></u:Timestamp>"
            + "<o:BinarySecurityToken u:Id=\"uuid-" + Guid.NewGuid() + "-1\" ValueType=\"" + X509v3 + "\" EncodingType=\"" + Wss + "#Base64Binary\">" + der + "</o:BinarySecurityToken>"
            + "</o:Security></s:Header><s:Body u:Id=\"_1\"><interroger xmlns=\"urn:roc:idb:1.0.0\">"
            + "<requete xmlns=\"\"><version>R01</version><date_demande>" + instant + "</date_demande><editeur>EDITEUR DEMO</editeur><logiciel>GAP-DEMO-0001</logiciel><version_logiciel>12.4</version_logiciel></requete>"
            + "<etablissement xmlns=\"\"><finess_ej>" + a["finess"] + "</finess_ej></etablissement>"
            + "<adressage xmlns=\"\"><numero_amc>" + a["amc"] + "</numero_amc><code_type_convention>RO</code_type_convention><code_csr></code_csr><domaine_conventionnel>HOSP</domaine_conventionnel></adressage>"
            + "<beneficiaire xmlns=\"\"><numero_adherent>ADH0000001</numero_adherent><nom>FICTIF</nom><prenom>Zoé</prenom><date_naissance>1980-02-29</date_naissance></beneficiaire>"
            + "<contexte xmlns=\"\"><nature>SEJOUR</nature><date_debut>" + now.ToString("yyyy-MM-dd") + "</date_debut><duree_moyenne_sejour>3</duree_moyenne_sejour><discipline_prestation>03</discipline_prestation></contexte>"
            + "</interroger></s:Body></s:Envelope>");
        // WCF and SignedXml write an element without content as "<a />".
        ((XmlElement)doc.GetElementsByTagName("code_csr")[0]).IsEmpty = true;
        return doc;
    }

    static void Sign(XmlDocument message, Dictionary<string, string> a)
    {
        string mode = a["mode"];
        var security = (XmlElement)message.GetElementsByTagName("Security", Wsse)[0];
        var token = (XmlElement)message.GetElementsByTagName("BinarySecurityToken", Wsse)[0];
        var key = (RSA)Identity(a["sign-pfx"]).PrivateKey;
        var signed = new SignedMessage(message) { SigningKey = key };
        if (mode != "inclusive")
            signed.SignedInfo.CanonicalizationMethod = SignedXml.XmlDsigExcC14NTransformUrl;
        signed.SignedInfo.SignatureMethod = mode == "sha1" ? SignedXml.XmlDsigRSASHA1Url : RsaSha256;
        foreach (string id in mode == "whole" ? new[] { "" } : new[] { "_0", "_1", "_2", "_3", "_4" })
        {
            var reference = new Reference(id == "" ? "" : "#" + id) { DigestMethod = mode == "sha1" ? SignedXml.XmlDsigSHA1Url : Sha256 };
            if (id == "")
                reference.AddTransform(new XmlDsigEnvelopedSignatureTransform());
            if (mode == "inclusive")
                reference.AddTransform(new XmlDsigC14NTransform());
            else
                reference.AddTransform(new XmlDsigExcC14NTransform());
            signed.AddReference(reference);
        }
        if (mode == "key-value")
        {
            security.RemoveChild(token);
            signed.KeyInfo.AddClause(new RSAKeyValue(key));
        }
        else
            signed.KeyInfo.AddClause(new KeyInfoNode(TokenReference(message, token)));
        signed.ComputeSignature();
        security.AppendChild(message.ImportNode(signed.GetXml(), true));
    }

    static XmlElement TokenReference(XmlDocument message, XmlElement token)
    {
        XmlElement str = message.CreateElement("o", "SecurityTokenReference", Wsse);
        XmlElement reference = message.CreateElement("o", "Reference", Wsse);
        reference.SetAttribute("ValueType", X509v3);
        reference.SetAttribute("URI", "#" + token.GetAttribute("Id", Wsu));
        str.AppendChild(reference);
        return str;
    }

    static byte[] Bytes(XmlDocument message, Dictionary<string, string> a)
    {
        string text = message.OuterXml;
        if (a.ContainsKey("alter"))
        {
            if (text.Split(new[] { "FICTIF" }, StringSplitOptions.None).Length != 2)
                throw new Exception("the name is not once in the message");
            text = text.Replace("FICTIF", "FICTIV");
        }
        return new UTF8Encoding(false).GetBytes(text);
    }

    // A file of PKCS#12 without a password: .NET Framework reads no PEM key.
    static X509Certificate2 Identity(string file)
    {
        return new X509Certificate2(file, "", X509KeyStorageFlags.Exportable);
    }

    static XmlDocument Post(byte[] message, Dictionary<string, string> a)
    {
        ServicePointManager.SecurityProtocol = SecurityProtocolType.Tls12;
        // Mono looks for CAs in its own store. Only a name is compared here,
        // which is enough on one machine and nowhere else.
        var ca = new X509Certificate2(a["ca"]);
        ServicePointManager.ServerCertificateValidationCallback = (sender, certificate, chain, errors) => Issued(ca, chain);
        var request = (HttpWebRequest)WebRequest.Create(a["url"]);
        request.Method = "POST";
        request.Timeout = 20000;
        request.ClientCertificates.Add(Identity(a["pfx"]));
        if (a["soap"] == "11")
        {
            request.ContentType = "text/xml; charset=utf-8";
            request.Headers["SOAPAction"] = "\"" + Action + "\"";
        }
        else
            request.ContentType = "application/soap+xml; charset=utf-8; action=\"" + Action + "\"";
        using (Stream body = request.GetRequestStream())
            body.Write(message, 0, message.Length);
        WebResponse response;
        try
        {
            response = request.GetResponse();
        }
        catch (WebException e) when (e.Response != null)
        {
            response = e.Response; // 500 bears a fault
        }
        var answer = new XmlDocument();
        using (Stream body = response.GetResponseStream())
            answer.Load(body);
        return answer;
    }

    static bool Issued(X509Certificate2 ca, X509Chain chain)
    {
        foreach (X509ChainElement e in chain.ChainElements)
            if (e.Certificate.Issuer == ca.Subject)
                return true;
        return false;
    }

    static string Outcome(XmlDocument answer)
    {
        var error = (XmlElement)answer.GetElementsByTagName("Erreur", "urn:rpn:erreur:1")[0];
        if (error == null)
            return "answer " + answer.GetElementsByTagName("CodeCR")[0].InnerText;
        XmlNode reason = answer.GetElementsByTagName("Text", Soap12)[0] ?? answer.GetElementsByTagName("faultstring")[0];
        return "fault " + error.GetAttribute("code") + " " + reason.InnerText;
    }
}

// SignedXml finds Id attributes without a namespace; WCF's have one.
class SignedMessage : SignedXml
{
    public SignedMessage(XmlDocument message) : base(message) { }

    public override XmlElement GetIdElement(XmlDocument message, string id)
    {
        var names = new XmlNamespaceManager(message.NameTable);
        names.AddNamespace("u", Client.Wsu);
        return (XmlElement)message.SelectSingleNode("//*[@u:Id='" + id + "']", names);
    }
}
