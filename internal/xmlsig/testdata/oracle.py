# Two other readers in one process: libxml2's exclusive canonical form and
# xmlsec's verdict. One JSON request a line on stdin, one answer a line on
# stdout. Bytes travel in base64.
import base64, ctypes, ctypes.util, json, sys

import xmlsec
from lxml import etree

x = ctypes.CDLL(ctypes.util.find_library("xml2"))
free = ctypes.CDLL(None).free
free.argtypes = [ctypes.c_void_p]
P = ctypes.c_void_p
x.xmlReadMemory.restype = P
x.xmlReadMemory.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
x.xmlXPathNewContext.restype = P
x.xmlXPathNewContext.argtypes = [P]
x.xmlXPathEvalExpression.restype = P
x.xmlXPathEvalExpression.argtypes = [ctypes.c_char_p, P]
x.xmlXPathFreeContext.argtypes = [P]
x.xmlXPathFreeObject.argtypes = [P]
x.xmlFreeDoc.argtypes = [P]
x.xmlC14NDocDumpMemory.argtypes = [P, P, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.POINTER(P)]


class XPathObject(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("nodesetval", P)]


QUIET = 2048 | 64 | 32  # no network, no warnings, no errors on stderr


def c14n(doc, path, prefixes, comments):
    d = x.xmlReadMemory(doc, len(doc), b"m.xml", None, QUIET)
    if not d:
        return None, False
    ctx = obj = None
    try:
        nodes = None
        if path:
            ctx = x.xmlXPathNewContext(d)
            apex = "(%s)[1]" % path
            expr = "%s/descendant-or-self::node() | %s/descendant-or-self::*/@* | %s/descendant-or-self::*/namespace::*" % (apex, apex, apex)
            obj = x.xmlXPathEvalExpression(expr.encode(), ctx)
            nodes = ctypes.cast(obj, ctypes.POINTER(XPathObject)).contents.nodesetval
            if not nodes:
                return None, True
        names = [p.encode() if p else b"#default" for p in prefixes]
        array = (ctypes.c_char_p * (len(names) + 1))(*names, None)
        out = P()
        n = x.xmlC14NDocDumpMemory(d, nodes, 1, array, 1 if comments else 0, ctypes.byref(out))
        if n < 0:
            return None, True
        b = ctypes.string_at(out, n)
        free(out)
        return b, True
    finally:
        if obj:
            x.xmlXPathFreeObject(obj)
        if ctx:
            x.xmlXPathFreeContext(ctx)
        x.xmlFreeDoc(d)


NS = {
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "wsse": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
}
parser = etree.XMLParser(resolve_entities=False, no_network=True)


def verify(doc, cert):
    try:
        root = etree.fromstring(doc, parser)
        sig = root.xpath("/*/*/wsse:Security/ds:Signature", namespaces=NS)
        if not sig:
            return False
        xmlsec.tree.add_ids(root, ["Id"])
        ctx = xmlsec.SignatureContext()
        ctx.key = xmlsec.Key.from_memory(cert, xmlsec.constants.KeyDataFormatCertDer)
        ctx.verify(sig[0])
        return True
    except (etree.XMLSyntaxError, xmlsec.Error, ValueError):
        return False


for line in sys.stdin:
    q = json.loads(line)
    doc = base64.b64decode(q["doc"])
    if q["op"] == "verify":
        answer = {"ok": verify(doc, base64.b64decode(q["cert"]))}
    else:
        b, parsed = c14n(doc, q["path"], q["prefixes"] or [], q["comments"])
        answer = {"ok": b is not None, "parsed": parsed, "bytes": base64.b64encode(b or b"").decode()}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
