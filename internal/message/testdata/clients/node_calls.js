// node-soap builds the call of every service and port of a WSDL, and writes it.
// usage: node_calls.js WSDL-URL DATA.json OUT-DIR; prints "port" lines. NODE_PATH says where soap is.
const fs = require('fs');
const soap = require('soap');

const [url, dataFile, out] = process.argv.slice(2);
const data = JSON.parse(fs.readFileSync(dataFile));

// args are the parameters of an operation: its name ends with the version where the WSDL has both.
function args(operation, version) {
  const { requete, adressage, beneficiaire } = data;
  return operation === 'search' ? data.search
    : { requete, etablissement: data['etablissement' + version], adressage, beneficiaire, ...data[operation.replace(/V[12]$/, '')] };
}

// The server answers every call with HTTP 500: only the request matters.
const called = (call, operation, version) => new Promise((done) => call(args(operation, version), done));

async function main() {
  for (const version of ['Soap11', 'Soap12']) {
    const client = await soap.createClientAsync(url, { forceSoap12Headers: version === 'Soap12' });
    for (const [service, ports] of Object.entries(client.describe())) {
      for (const [port, operations] of Object.entries(ports)) {
        if (!port.endsWith(version)) continue;
        const [operation] = Object.keys(operations);
        await called(client[service][port][operation], operation, service.slice(-2));
        fs.writeFileSync(`${out}/${port}.xml`, client.lastRequest);
        console.log(port);
      }
    }
  }
  // Flat: the operation alone, whatever its service.
  fs.mkdirSync(`${out}/flat`);
  for (const [form, versions] of [['', ['V1', 'V2']], ['=v1', ['V1']], ['=v2', ['V2']]]) {
    const client = await soap.createClientAsync(url + form);
    for (const version of versions) {
      for (const name of ['interroger', 'simuler', 'calculer', 'annuler']) {
        const operation = form ? name : name + version;
        await called(client[operation].bind(client), operation, version);
        fs.writeFileSync(`${out}/flat/${version}-${operation}-${form.slice(1) || 'both'}.xml`, client.lastRequest);
      }
    }
  }
}

main().catch((e) => { console.error(e); process.exit(1); });
