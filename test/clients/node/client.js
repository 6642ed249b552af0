// One IDB V1 call with node-soap, built from the WSDL that the RPN serves and
// signed by WSSecurityCert, in either way of writing Ids. Prints "answer CODE"
// or "fault RPNnnn"; exits 0 when that is what --expect says.
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
    mode: { type: 'string', default: 'default' }, // or wssecurity
    soap: { type: 'string', default: '12' },
    alter: { type: 'boolean', default: false }, // change the body after it was signed
  },
});

const read = (name) => fs.readFileSync(a[name], 'utf8');

async function main() {
  const httpsAgent = new https.Agent({ cert: read('cert'), key: read('key'), ca: read('ca') });
  const client = await soap.createClientAsync(`${a.url}?wsdl`, {
    endpoint: a.url,
    forceSoap12Headers: a.soap === '12',
    wsdl_options: { httpsAgent },
  });
  client.setSecurity(security(httpsAgent));
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

// The defaults of WSSecurityCert, or wsu:Id and exclusive canonicalization alone.
function security(httpsAgent) {
  const options = {};
  if (a.mode === 'wssecurity') {
    options.signerOptions = { idMode: 'wssecurity' };
    options.signatureTransformations = ['http://www.w3.org/2001/10/xml-exc-c14n#'];
  }
  const s = new soap.WSSecurityCert(read('sign-key'), read('sign-cert'), '', options);
  s.addOptions = (o) => Object.assign(o, { httpsAgent });
  return s;
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
