/* xmlsec_loop checks one signed message again and again with libxmlsec1, in
 * process, the key loaded beforehand: the peer of `make bench-check`.
 *
 * Usage: xmlsec_loop CERT.pem MESSAGE.xml SECONDS
 * Prints the CPU nanoseconds per check. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <xmlsec/crypto.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmlsec.h>
#include <xmlsec/xmltree.h>

static const xmlChar *wsu = BAD_CAST "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";

/* Register the wsu:Id of the header's parts and of the Body; a receiver that
 * looked at every element would pay more. */
static void add_ids(xmlDocPtr doc, xmlNodePtr n, int depth) {
  for (; n; n = n->next) {
    if (n->type != XML_ELEMENT_NODE) continue;
    xmlAttrPtr a = xmlHasNsProp(n, BAD_CAST "Id", wsu);
    if (a) {
      xmlChar *v = xmlNodeListGetString(doc, a->children, 1);
      xmlAddID(NULL, doc, v, a);
      xmlFree(v);
    }
    if (depth < 3) add_ids(doc, n->children, depth + 1);
  }
}

static int check(const char *buf, int len, xmlSecKeyPtr key) {
  xmlDocPtr doc = xmlReadMemory(buf, len, NULL, NULL, XML_PARSE_NONET);
  if (!doc) return 0;
  add_ids(doc, xmlDocGetRootElement(doc), 0);
  xmlNodePtr sig = xmlSecFindNode(xmlDocGetRootElement(doc), xmlSecNodeSignature, xmlSecDSigNs);
  xmlSecDSigCtxPtr ctx = xmlSecDSigCtxCreate(NULL);
  ctx->signKey = xmlSecKeyDuplicate(key);
  int ok = sig && xmlSecDSigCtxVerify(ctx, sig) >= 0 && ctx->status == xmlSecDSigStatusSucceeded;
  xmlSecDSigCtxDestroy(ctx);
  xmlFreeDoc(doc);
  return ok;
}

static double cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  FILE *f = fopen(argv[2], "rb");
  if (!f) { perror(argv[2]); return 2; }
  fseek(f, 0, SEEK_END);
  long len = ftell(f);
  rewind(f);
  char *buf = malloc(len);
  if (fread(buf, 1, len, f) != (size_t)len) return 2;
  fclose(f);
  xmlInitParser();
  if (xmlSecInit() < 0 || xmlSecCryptoAppInit(NULL) < 0 || xmlSecCryptoInit() < 0) return 3;
  xmlSecKeyPtr key = xmlSecCryptoAppKeyLoad(argv[1], xmlSecKeyDataFormatCertPem, NULL, NULL, NULL);
  if (!key || !check(buf, len, key)) { fprintf(stderr, "the message does not verify\n"); return 4; }
  long n = 0;
  double start = cpu(), until = start + atof(argv[3]), now;
  do {
    for (int i = 0; i < 4; i++, n++)
      if (!check(buf, len, key)) return 4;
  } while ((now = cpu()) < until);
  printf("%.0f\n", (now - start) / n * 1e9);
  return 0;
}
