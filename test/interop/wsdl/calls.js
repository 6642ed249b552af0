// node-soap calls every operation of a WSDL: flat (the operation alone), then by service and port.
// usage: calls.js WSDL-URL VERSION SAMPLES-DIR; NODE_PATH says where soap is.
const fs = require('fs');
const soap = require('soap');

const [url, version, samples] = process.argv.slice(2);

async function main() {
  for (const soap12 of [false, true]) {
    const client = await soap.createClientAsync(url, { forceSoap12Headers: soap12 });
    for (const name of ['Annuaire', 'RocIdb', 'RocSim', 'RocClc', 'RocAnl']) {
      const service = name === 'Annuaire' ? name : name + version;
      const { operation, parameters } = JSON.parse(fs.readFileSync(`${samples}/${service}.json`));
      const port = client[service][service + (soap12 ? 'Soap12' : 'Soap11')];
      const call = (f) => new Promise((done, fail) => f(parameters, (err) => (err ? fail(err) : done())));
      await call(port[operation]);
      if (!soap12) await call(client[operation].bind(client));
    }
  }
}

main().catch((e) => { console.error(e.message || e); process.exit(1); });
