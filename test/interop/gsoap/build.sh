#!/bin/sh
# Builds the gSOAP client in the folder $2 from the WSDL $1, the way gSOAP's
# manual says: wsdl2h, wsse.h imported, soapcpp2, the wsse plugin.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
wsdl=$1 out=$2 gsoap=/usr/share/gsoap
cd "$out"
wsdl2h -t"$here/typemap.dat" -o roc.h "$wsdl" >build.log 2>&1 || { cat build.log; exit 1; }
sed 's/^#import "soap12.h"/&\n#import "wsse.h"/' roc.h >signed.h
soapcpp2 -C -L -x -w -I$gsoap/import signed.h >build.log 2>&1 || { cat build.log; exit 1; }
flags="-O0 -w -I. -I$gsoap -I$gsoap/plugin -I$gsoap/custom $(pkg-config --cflags gsoapssl++)"
compile() { g++ -std=c++11 $flags -c -o "$1" "$2"; }
compile stubs.o soapC.cpp &
stubs=$!
for f in soapClient.cpp "$here/client.cpp" $gsoap/plugin/wsseapi.cpp $gsoap/plugin/smdevp.c $gsoap/plugin/mecevp.c $gsoap/plugin/threads.c $gsoap/custom/struct_timeval.c; do
	compile "$(basename "$f").o" "$f"
done
wait $stubs
g++ -o client ./*.o $(pkg-config --libs gsoapssl++) -lssl -lcrypto -lz -lpthread
