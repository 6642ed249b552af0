#!/bin/bash
# One IDB V1 call with xmlsec1 --sign and curl: a message written by hand.
# Prints "answer CODE" or "fault RPNnnn"; exits 0 when that is what --expect
# says. The signature of an answer is checked by xmlsec1 with the key of the
# certificate inside it.
set -euo pipefail

soap=12 alter=no
while [ $# -gt 0 ]; do
  case $1 in
    --url) url=$2 ;; --cert) cert=$2 ;; --key) key=$2 ;; --ca) ca=$2 ;;
    --sign-cert) sign_cert=$2 ;; --sign-key) sign_key=$2 ;; --amc) amc=$2 ;;
    --finess) finess=$2 ;; --expect) expect=$2 ;; --soap) soap=$2 ;;
    --alter) alter=yes; shift; continue ;;
    *) echo "unknown argument $1" >&2; exit 2 ;;
  esac
  shift 2
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

wsse=http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd
wsu=http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd
wss=http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0
x509=http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3
exc=http://www.w3.org/2001/10/xml-exc-c14n#
sha256=http://www.w3.org/2001/04/xmlenc#sha256
action=urn:roc:idb:1.0.0:interroger
case $soap in
  11) env=http://schemas.xmlsoap.org/soap/envelope/
      headers=(-H 'Content-Type: text/xml; charset=utf-8' -H "SOAPAction: \"$action\"") ;;
  12) env=http://www.w3.org/2003/05/soap-envelope
      headers=(-H "Content-Type: application/soap+xml; charset=utf-8; action=\"$action\"") ;;
esac

reference() {
  echo "<ds:Reference URI=\"#$1\"><ds:Transforms><ds:Transform Algorithm=\"$exc\"/></ds:Transforms><ds:DigestMethod Algorithm=\"$sha256\"/><ds:DigestValue/></ds:Reference>"
}

cat > "$dir/template.xml" <<XML
<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="$env" xmlns:wsu="$wsu">
  <s:Header>
    <wsse:Security xmlns:wsse="$wsse" s:mustUnderstand="1">
      <wsu:Timestamp wsu:Id="instant"><wsu:Created>$(date -u +%FT%TZ)</wsu:Created><wsu:Expires>$(date -u -d '+5 minutes' +%FT%TZ)</wsu:Expires></wsu:Timestamp>
      <wsse:BinarySecurityToken wsu:Id="jeton" ValueType="$x509" EncodingType="$wss#Base64Binary">$(openssl x509 -in "$sign_cert" -outform DER | base64 -w0)</wsse:BinarySecurityToken>
      <ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
        <ds:SignedInfo>
          <ds:CanonicalizationMethod Algorithm="$exc"/>
          <ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>
          $(reference corps)
          $(reference instant)
        </ds:SignedInfo>
        <ds:SignatureValue/>
        <ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI="#jeton" ValueType="$x509"/></wsse:SecurityTokenReference></ds:KeyInfo>
      </ds:Signature>
    </wsse:Security>
  </s:Header>
  <s:Body wsu:Id="corps">
    <idb:interroger xmlns:idb="urn:roc:idb:1.0.0">
      <requete><version>R01</version><date_demande>$(date -u +%FT%TZ)</date_demande><editeur>EDITEUR DEMO</editeur><logiciel>GAP-DEMO-0001</logiciel><version_logiciel>12.4</version_logiciel></requete>
      <etablissement><finess_ej>$finess</finess_ej></etablissement>
      <adressage><numero_amc>$amc</numero_amc><code_type_convention>RO</code_type_convention><domaine_conventionnel>HOSP</domaine_conventionnel></adressage>
      <beneficiaire><numero_adherent>ADH0000001</numero_adherent><nom>FICTIF</nom><prenom>Zoé</prenom><date_naissance>1980-02-29</date_naissance></beneficiaire>
      <contexte><nature>SEJOUR</nature><date_debut>$(date -u +%F)</date_debut><duree_moyenne_sejour>3</duree_moyenne_sejour><discipline_prestation>03</discipline_prestation></contexte>
    </idb:interroger>
  </s:Body>
</s:Envelope>
XML

ids=(--id-attr:Id "$env:Body" --id-attr:Id "$wsu:Timestamp")
xmlsec1 --sign --privkey-pem "$sign_key" "${ids[@]}" --output "$dir/signed.xml" "$dir/template.xml"
if [ $alter = yes ]; then
  sed -i 's/FICTIF/FICTIV/' "$dir/signed.xml"
fi

curl --silent --show-error --max-time 20 --cert "$cert" --key "$key" --cacert "$ca" \
  "${headers[@]}" --data-binary @"$dir/signed.xml" --output "$dir/answer.xml" "$url"

xpath() { xmllint --xpath "string($1)" "$dir/answer.xml"; }
code=$(xpath "//*[local-name()='Erreur' and namespace-uri()='urn:rpn:erreur:1']/@code")
if [ -n "$code" ]; then
  got="fault $code $(xpath "//*[local-name()='Libelle']")"
else
  got="answer $(xpath '//CR/CodeCR')"
  openssl x509 -inform DER -in <(xpath "//*[local-name()='BinarySecurityToken']" | base64 -d -i) -pubkey -noout > "$dir/signer.pem"
  xmlsec1 --verify --pubkey-pem "$dir/signer.pem" "${ids[@]}" "$dir/answer.xml" 2> "$dir/verify" || { cat "$dir/verify" >&2; exit 1; }
fi
echo "$got"
set -- $got
if [ "$2" != "$expect" ]; then
  echo "expected $expect" >&2
  exit 1
fi
