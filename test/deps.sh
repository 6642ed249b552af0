#!/bin/sh
# Installs what the tests run beside Go, and only what is missing: Debian
# packages (root or sudo), node-soap in test/clients/node, and playwright-core and axe-core in test/portal/node. "deps.sh bench"
# adds the proxies that the bench compares with, "deps.sh interop" the SOAP
# clients that are too heavy for every run (make test-interop).
set -eu
cd "$(dirname "$0")"

# A command or file that must be there, and the package that brings it.
needs() {
	if command -v "$1" >/dev/null 2>&1 || [ -e "$1" ]; then return; fi
	missing="${missing:-} $2"
}

# An extension that PHP has loaded.
has_php() { php -m 2>/dev/null | grep -qix "$1"; }

missing=
needs gcc gcc                          # go test -race
needs /usr/include/stdlib.h libc6-dev
needs xmlsec1 xmlsec1                  # oracle of signatures
needs xmllint libxml2-utils            # oracle of schemas and canonical bytes
needs curl curl
needs script bsdutils                 # the terminal of `rpn top`
needs openssl openssl
needs zstd zstd                        # reads closed segments
needs gnutls-cli gnutls-bin
needs /usr/lib/python3/dist-packages/zeep python3-zeep
needs /usr/lib/python3/dist-packages/xmlsec python3-xmlsec
needs npm npm
needs systemd-analyze systemd          # checks the units of deploy/systemd
needs redis-server redis-server        # what instances share
needs /usr/lib/postgresql postgresql      # the store of indicators
needs promtool prometheus               # rules, dashboards
needs /usr/lib/python3/dist-packages/aiosmtpd python3-aiosmtpd # takes the weekly mails
needs haproxy haproxy                  # before two instances, and peer of the bench
needs chromium chromium                # reads the pages of the portal
if [ "${1:-}" = bench ]; then
	needs caddy caddy
	needs taskset util-linux
	needs /usr/include/xmlsec1 libxmlsec1-dev # peer of the signature check
	needs pkg-config pkg-config
fi
if [ "${1:-}" = interop ]; then
	needs javac default-jdk-headless                      # wss4j
	needs /usr/share/java/wss4j.jar libwss4j-java
	needs /usr/share/java/xmlsec.jar libxml-security-java
	needs /usr/share/java/commons-logging.jar libcommons-logging-java
	needs /usr/share/java/slf4j-nop.jar libslf4j-java
	needs php php-cli                                     # php-soap
	has_php soap || missing="${missing:-} php-soap"
	has_php xml || missing="${missing:-} php-xml"
	has_php curl || missing="${missing:-} php-curl"
	needs mcs mono-mcs                                    # mono
	needs mono mono-runtime
	needs /usr/lib/mono/4.5/System.Security.dll libmono-system-security4.0-cil
	needs wsdl2h gsoap                                    # gsoap
	needs g++ g++
	needs pkg-config pkg-config
	needs /usr/include/stdsoap2.h libgsoap-dev
	needs /usr/include/openssl/ssl.h libssl-dev
	needs /usr/include/zlib.h zlib1g-dev
	needs /usr/lib/python3/dist-packages/suds python3-suds # what builds from the WSDL alone
	needs /usr/share/java/jaxws-tools.jar libjaxws-java    # wsimport
	needs /usr/share/java/jaxb-xjc.jar libjaxb-java        # xjc
	needs /usr/share/java/axis.jar libaxis-java            # Axis 1.4
	needs wsdl mono-devel                                  # wsdl.exe
fi

if [ -n "$missing" ]; then
	if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
	if ! command -v apt-get >/dev/null 2>&1; then
		echo "deps: missing:$missing. There is no apt-get here: install them by your own means, then run make again." >&2
		exit 1
	fi
	if [ -n "$sudo" ] && ! command -v sudo >/dev/null 2>&1; then
		echo "deps: missing:$missing. Run as root: apt-get install -y --no-install-recommends$missing" >&2
		exit 1
	fi
	echo "deps: installing$missing"
	$sudo apt-get -q update
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
fi

# npm ci is right when the lock file changed since the last install.
for dir in clients/node portal/node; do
	if ! cmp -s "$dir/package-lock.json" "$dir/node_modules/.installed"; then
		echo "deps: npm ci in test/$dir"
		(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund && cp package-lock.json node_modules/.installed)
	fi
done
