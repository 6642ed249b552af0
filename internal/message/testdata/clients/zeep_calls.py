"""zeep builds the call of every service and port of a WSDL, and writes it.

usage: zeep_calls.py WSDL-URL DATA.json OUT-DIR; prints "port action" lines.
"""
import json
import sys
from pathlib import Path

import requests
import zeep
from lxml import etree

url, data, out = sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3])
session = requests.Session()
session.trust_env = False
client = zeep.Client(url, transport=zeep.Transport(session=session))
for service in client.wsdl.services.values():
    for port in service.ports.values():
        (operation,) = port.binding._operations.values()
        args = data["search"] if service.name == "Annuaire" else {
            **{k: data[k] for k in ("requete", "adressage", "beneficiaire")},
            "etablissement": data["etablissement" + service.name[-2:]],
            **data[operation.name.removesuffix(service.name[-2:])],
        }
        proxy = client.bind(service.name, port.name)
        assert proxy._binding_options["address"] == url.split("?")[0], proxy._binding_options
        message = client.create_message(proxy, operation.name, **args)
        (out / (port.name + ".xml")).write_bytes(etree.tostring(message))
        print(port.name, operation.soapaction)
