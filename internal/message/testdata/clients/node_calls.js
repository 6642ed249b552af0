// node-soap builds the call of every service and port of a WSDL, and writes it.
// usage: node_calls.js WSDL-URL DATA.json OUT-DIR; prints "port" lines. NODE_PATH says where soap is.
const fs = require('fs');
const soap = require('soap');

const [url, dataFile, out] = process.argv.slice(2);
const data = JSON.parse(fs.readFileSync(dataFile));

async function main() {
  for (const version of ['Soap11', 'Soap12']) {
    const client = await soap.createClientAsync(url, { forceSoap12Headers: version === 'Soap12' });
    for (const [service, ports] of Object.entries(client.describe())) {
      for (const [port, operations] of Object.entries(ports)) {
        if (!port.endsWith(version)) continue;
        const [operation] = Object.keys(operations);
        const { requete, adressage, beneficiaire } = data;
        const args = service === 'Annuaire' ? data.search
          : { requete, etablissement: data['etablissement' + service.slice(-2)], adressage, beneficiaire, ...data[operation] };
        // The server answers every call with HTTP 500: only the request matters.
        await new Promise((done) => client[service][port][operation](args, done));
        fs.writeFileSync(`${out}/${port}.xml`, client.lastRequest);
        console.log(port);
      }
    }
  }
}

main().catch((e) => { console.error(e); process.exit(1); });
