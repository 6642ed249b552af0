// One IDB V1 call with node-soap, built from the WSDL that the RPN serves.
// Prints "answer CODE" or "fault RPNnnn"; exits 0 when that is what --expect
// says. The modes, by security() below: "default", "wssecurity" and
// "addressing" are good; "with-token", "repeated-id" and "chain" are not.
'use strict';
const fs = require('fs');
const https = require('https');
const { parseArgs } = require('util');
const soap = require('soap');

const string = { type: 'string' };
const { values: a } = parseArgs({
  options: {
    url: string, cert: string, key: string, ca: string, 'sign-cert': string, 'sign-key': string,
    amc: string, finess: string, expect: string,
    mode: { type: 'string', default: 'default' },
    soap: { type: 'string', default: '12' },
    alter: { type: 'boolean', default: false }, // change the body after it was signed
  },
});

const read = (name) => fs.readFileSync(a[name], 'utf8');

async function main() {
  const httpsAgent = new https.Agent({ cert: read('cert'), key: read('key'), ca: read('ca') });
  const client = await soap.createClientAsync(`${a.url}?wsdl=v1`, {
    endpoint: a.url,
    forceSoap12Headers: a.soap === '12',
    wsdl_options: { httpsAgent },
  });
  const s = security();
  s.addOptions = (o) => Object.assign(o, { httpsAgent });
  client.setSecurity(s);
  if (signsAddressing) client.addSoapHeader(`<wsa:To xmlns:wsa="${wsa}">${a.url}</wsa:To><wsa:Action xmlns:wsa="${wsa}">${action}</wsa:Action>`);
  const postProcess = (xml) => (a.alter ? altered(xml) : xml);
  const method = client.RocIdbV1[`RocIdbV1Soap${a.soap}`].interroger;
  const got = await new Promise((resolve) => {
    method(request(), (err, result, raw) => resolve(outcome(err, result, raw)), { postProcess });
  });
  console.log(got);
  if (got.split(' ')[1] !== a.expect) {
    console.error(`expected ${a.expect}`);
    process.exitCode = 1;
  }
}

const exc = 'http://www.w3.org/2001/10/xml-exc-c14n#';
const wsa = 'http://www.w3.org/2005/08/addressing';
const wsu = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd';
const action = 'urn:roc:idb:1.0.0:interroger';
const signsAddressing = a.mode === 'addressing' || a.mode === 'repeated-id';

function security() {
  const key = read('sign-key');
  const certificate = read('sign-cert');
  const addressing = { additionalReferences: ['wsa:To', 'wsa:Action'] };
  switch (a.mode) {
    case 'default': // un-namespaced Ids, enveloped-signature and exclusive canonicalization
      return new soap.WSSecurityCert(key, certificate, '');
    case 'wssecurity': // wsu:Id and exclusive canonicalization alone
      return new soap.WSSecurityCert(key, certificate, '', { signerOptions: { idMode: 'wssecurity' }, signatureTransformations: [exc] });
    case 'addressing': // headers signed too
      return new soap.WSSecurityCert(key, certificate, '', addressing);
    case 'with-token': // can never verify: the Body and its signature share no Id
      return new soap.WSSecurityCertWithToken({ privateKey: key, publicKey: certificate });
    case 'repeated-id': // what versions did whose Timestamp had the Id _1, whatever was signed before it
      return new soap.WSSecurityCert(key, certificate, '', { ...addressing, hasTimeStamp: false, appendElement: timestamp('_1') });
    case 'chain': // a file with the intermediate too: its PEM header ends up in the token
      return new soap.WSSecurityCert(key, certificate + certificate, '');
    default:
      throw new Error(`mode ${a.mode}`);
  }
}

function timestamp(id) {
  const at = (minutes) => new Date(Date.now() + minutes * 60000).toISOString();
  return `<Timestamp xmlns="${wsu}" Id="${id}"><Created>${at(0)}</Created><Expires>${at(5)}</Expires></Timestamp>`;
}

function request() {
  const now = new Date().toISOString().replace(/\.\d+Z/, 'Z');
  return {
    requete: { version: 'R01', date_demande: now, editeur: 'EDITEUR DEMO', logiciel: 'GAP-DEMO-0001', version_logiciel: '12.4' },
    etablissement: { finess_ej: a.finess },
    adressage: { numero_amc: a.amc, code_type_convention: 'RO', domaine_conventionnel: 'HOSP' },
    beneficiaire: { numero_adherent: 'ADH0000001', nom: 'FICTIF', prenom: 'Zoé', date_naissance: '1980-02-29' },
    contexte: { nature: 'SEJOUR', date_debut: now.slice(0, 10), duree_moyenne_sejour: 3, discipline_prestation: '03' },
  };
}

function altered(xml) {
  if (xml.split('FICTIF').length !== 2) throw new Error('the name is not once in the message');
  return xml.replace('FICTIF', 'FICTIV');
}

function outcome(err, result, raw) {
  if (!err) return `answer ${result.CR.CodeCR}`;
  const code = /<(?:\w+:)?Erreur[^>]*\scode="(RPN\d+)"/.exec(err.body || raw || '');
  return code ? `fault ${code[1]} ${err.message}` : `failed: ${err.message}`;
}

main().catch((err) => {
  console.error(err);
  process.exitCode = 1;
});
