<?php
// One IDB V1 call with php-soap, built from the WSDL that the RPN serves and
// signed by hand with DOM's C14N, as PHP vendors do. The modes: "default";
// "inclusive", C14N 1.0, what C14N() does when its arguments are forgotten; "sha1";
// "pretty", the message is indented after it was signed. Prints "answer CODE"
// or "fault RPNnnn ..."; exits with 0 when that is what --expect says. The
// signature of an answer is checked with the certificate inside it.
declare(strict_types=1);

const WSSE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd';
const WSU = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd';
const WSS = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0';
const X509V3 = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3';
const DS = 'http://www.w3.org/2000/09/xmldsig#';
const EXC = 'http://www.w3.org/2001/10/xml-exc-c14n#';
const C14N10 = 'http://www.w3.org/TR/2001/REC-xml-c14n-20010315';

class SignedClient extends SoapClient
{
    private array $a;

    public function __construct(array $a)
    {
        $this->a = $a;
        $tls = ['local_cert' => $a['cert'], 'local_pk' => $a['key'], 'cafile' => $a['ca'], 'verify_peer' => true, 'verify_peer_name' => true];
        parent::__construct($a['url'] . '?wsdl=v1', [
            'location' => $a['url'],
            'soap_version' => $a['soap'] === '11' ? SOAP_1_1 : SOAP_1_2,
            'stream_context' => stream_context_create(['ssl' => $tls]),
            'cache_wsdl' => WSDL_CACHE_NONE,
            'trace' => true,
        ]);
    }

    #[\ReturnTypeWillChange]
    public function __doRequest($request, $location, $action, $version, $oneWay = false)
    {
        $message = $this->sign($request, $version);
        if ($this->a['alter']) {
            $message = str_replace('FICTIF', 'FICTIV', $message, $count);
            $count === 1 || throw new Exception('the name is not once in the message');
        }
        return parent::__doRequest($message, $this->a['url'], $action, $version, $oneWay);
    }

    private function sign(string $request, int $version): string
    {
        $doc = new DOMDocument();
        $doc->loadXML($request);
        $envelope = $doc->documentElement;
        $soap = $envelope->namespaceURI;
        $body = $envelope->getElementsByTagNameNS($soap, 'Body')->item(0);
        $header = $envelope->insertBefore($doc->createElementNS($soap, $envelope->prefix . ':Header'), $body);
        $security = $header->appendChild($doc->createElementNS(WSSE, 'wsse:Security'));
        $security->setAttributeNS($soap, $envelope->prefix . ':mustUnderstand', $version === SOAP_1_1 ? '1' : 'true');

        $token = self::add($security, WSSE, 'wsse:BinarySecurityToken', self::der($this->a['sign-cert']));
        $token->setAttribute('EncodingType', WSS . '#Base64Binary');
        $token->setAttribute('ValueType', X509V3);
        $stamp = self::add($security, WSU, 'wsu:Timestamp');
        self::add($stamp, WSU, 'wsu:Created', gmdate('Y-m-d\TH:i:s\Z'));
        self::add($stamp, WSU, 'wsu:Expires', gmdate('Y-m-d\TH:i:s\Z', time() + 300));
        foreach (['X509' => $token, 'TS' => $stamp, 'Body' => $body] as $prefix => $part) {
            $part->setAttributeNS(WSU, 'wsu:Id', $prefix . '-' . bin2hex(random_bytes(16)));
        }

        $exclusive = $this->a['mode'] !== 'inclusive';
        $sha1 = $this->a['mode'] === 'sha1';
        $signature = self::add($security, DS, 'ds:Signature');
        $info = self::add($signature, DS, 'ds:SignedInfo');
        self::add($info, DS, 'ds:CanonicalizationMethod')->setAttribute('Algorithm', $exclusive ? EXC : C14N10);
        self::add($info, DS, 'ds:SignatureMethod')->setAttribute('Algorithm', $sha1 ? DS . 'rsa-sha1' : 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256');
        foreach ([$body, $stamp] as $part) {
            $reference = self::add($info, DS, 'ds:Reference');
            $reference->setAttribute('URI', '#' . $part->getAttributeNS(WSU, 'Id'));
            $transforms = self::add($reference, DS, 'ds:Transforms');
            self::add($transforms, DS, 'ds:Transform')->setAttribute('Algorithm', $exclusive ? EXC : C14N10);
            self::add($reference, DS, 'ds:DigestMethod')->setAttribute('Algorithm', $sha1 ? DS . 'sha1' : 'http://www.w3.org/2001/04/xmlenc#sha256');
            $digest = hash($sha1 ? 'sha1' : 'sha256', $part->C14N($exclusive, false), true);
            self::add($reference, DS, 'ds:DigestValue', base64_encode($digest));
        }
        openssl_sign($info->C14N($exclusive, false), $value, file_get_contents($this->a['sign-key']), $sha1 ? OPENSSL_ALGO_SHA1 : OPENSSL_ALGO_SHA256);
        self::add($signature, DS, 'ds:SignatureValue', base64_encode($value));
        $reference = self::add(self::add(self::add($signature, DS, 'ds:KeyInfo'), WSSE, 'wsse:SecurityTokenReference'), WSSE, 'wsse:Reference');
        $reference->setAttribute('URI', '#' . $token->getAttributeNS(WSU, 'Id'));
        $reference->setAttribute('ValueType', X509V3);

        if ($this->a['mode'] === 'pretty') {
            $again = new DOMDocument();
            $again->preserveWhiteSpace = false;
            $again->formatOutput = true;
            $again->loadXML($doc->saveXML());
            return $again->saveXML();
        }
        return $doc->saveXML();
    }

    private static function add(DOMElement $parent, string $space, string $name, string $text = ''): DOMElement
    {
        return $parent->appendChild($parent->ownerDocument->createElementNS($space, $name, $text));
    }

    private static function der(string $file): string
    {
        return preg_replace('/-----[A-Z ]+-----|\s/', '', file_get_contents($file));
    }
}

/** The options, or an end with 2. */
function arguments(): array
{
    $a = getopt('', ['url:', 'cert:', 'key:', 'ca:', 'sign-cert:', 'sign-key:', 'amc:', 'finess:', 'expect:', 'mode:', 'soap:', 'alter']);
    $a['alter'] = array_key_exists('alter', $a);
    return $a + ['mode' => 'default', 'soap' => '12'];
}

function call(SignedClient $client, array $a): string
{
    try {
        $answer = $client->interroger([
            'requete' => ['version' => 'R01', 'date_demande' => gmdate('Y-m-d\TH:i:s\Z'), 'editeur' => 'EDITEUR DEMO', 'logiciel' => 'GAP-DEMO-0001', 'version_logiciel' => '12.4'],
            'etablissement' => ['finess_ej' => $a['finess']],
            'adressage' => ['numero_amc' => $a['amc'], 'code_type_convention' => 'RO', 'domaine_conventionnel' => 'HOSP'],
            'beneficiaire' => ['numero_adherent' => 'ADH0000001', 'nom' => 'FICTIF', 'prenom' => 'Zoé', 'date_naissance' => '1980-02-29'],
            'contexte' => ['nature' => 'SEJOUR', 'date_debut' => gmdate('Y-m-d'), 'duree_moyenne_sejour' => 3, 'discipline_prestation' => '03'],
        ]);
    } catch (SoapFault $f) {
        $found = preg_match('/<(?:\w+:)?Erreur[^>]*\scode="(RPN\d+)"/', (string) $client->__getLastResponse(), $m);
        return $found ? "fault $m[1] " . $f->getMessage() : 'failed: ' . $f->getMessage();
    }
    verify($client->__getLastResponse());
    return 'answer ' . $answer->CR->CodeCR;
}

/** Checks the signature of an answer with the certificate inside it. */
function verify(string $answer): void
{
    $doc = new DOMDocument();
    $doc->loadXML($answer);
    $x = new DOMXPath($doc);
    foreach (['ds' => DS, 'wsse' => WSSE, 'wsu' => WSU] as $prefix => $space) {
        $x->registerNamespace($prefix, $space);
    }
    foreach ($x->query('//ds:SignedInfo/ds:Reference') as $reference) {
        $id = substr($reference->getAttribute('URI'), 1);
        $digest = hash('sha256', $x->query("//*[@wsu:Id='$id']")->item(0)->C14N(true, false), true);
        base64_encode($digest) === $x->evaluate('string(ds:DigestValue)', $reference) || throw new Exception("the digest of #$id in the answer");
    }
    $token = chunk_split($x->evaluate('string(//wsse:BinarySecurityToken)'), 64, "\n");
    $key = openssl_pkey_get_public("-----BEGIN CERTIFICATE-----\n$token-----END CERTIFICATE-----\n");
    $info = $x->query('//ds:SignedInfo')->item(0)->C14N(true, false);
    $value = base64_decode($x->evaluate('string(//ds:SignatureValue)'));
    if (openssl_pkey_get_details($key)['type'] === OPENSSL_KEYTYPE_EC) {
        $value = ecdsa($value);
    }
    openssl_verify($info, $value, $key, OPENSSL_ALGO_SHA256) === 1 || throw new Exception('the signature of the answer');
}

/** XML signs r and s side by side; OpenSSL wants them in DER. */
function ecdsa(string $value): string
{
    $sequence = '';
    foreach (str_split($value, intdiv(strlen($value), 2)) as $number) {
        $number = ltrim($number, "\0");
        $number = (ord($number[0] ?? "\0") > 0x7f || $number === '' ? "\0" : '') . $number;
        $sequence .= "\x02" . chr(strlen($number)) . $number;
    }
    return "\x30" . chr(strlen($sequence)) . $sequence;
}

$a = arguments();
$got = call(new SignedClient($a), $a);
echo $got, "\n";
if (explode(' ', $got)[1] !== $a['expect']) {
    fwrite(STDERR, "expected {$a['expect']}\n");
    exit(1);
}
