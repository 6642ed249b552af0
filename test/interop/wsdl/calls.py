"""zeep or suds calls every operation of a WSDL.

usage: calls.py zeep|suds WSDL-URL VERSION SAMPLES-DIR; the samples are JSON.
"""
import json
import sys
from pathlib import Path

library, url, version, samples = sys.argv[1:]


def calls():
    for service in ("Annuaire", "RocIdb", "RocSim", "RocClc", "RocAnl"):
        name = service if service == "Annuaire" else service + version
        sample = json.loads((Path(samples) / (name + ".json")).read_text())
        yield name, sample["operation"], sample["parameters"]


if library == "zeep":
    import requests
    import zeep
    session = requests.Session()
    session.trust_env = False
    client = zeep.Client(url, transport=zeep.Transport(session=session))
    for service, operation, parameters in calls():
        for port in client.wsdl.services[service].ports:
            client.bind(service, port)[operation](**parameters)
else:
    from suds.client import Client
    client = Client(url, cache=None)
    for service, operation, parameters in calls():
        getattr(client.service[service][service + "Soap11"], operation)(**parameters)
