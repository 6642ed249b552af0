#!/bin/sh
# Functions that nothing reaches, neither a program of cmd nor a test, are an
# error, but for those of deadcode.txt: one a line, each with its reason above.
# A line there that is no longer dead is an error too.
set -eu
cd "$(dirname "$0")/.."
found=$(mktemp) && listed=$(mktemp)
trap 'rm -f "$found" "$listed"' EXIT
go tool deadcode -test -tags interop,vectors,hammer -f '{{range .Funcs}}{{$.Path}}.{{.Name}}{{"\n"}}{{end}}' ./... |
	sed -e '/^$/d' -e 's|^github.com/piano-roc/rpn/||' | sort -u >"$found"
sed -e '/^#/d' -e '/^$/d' test/deadcode.txt | sort -u >"$listed"
if ! diff "$listed" "$found" >/dev/null; then
	comm -13 "$listed" "$found" | sed 's/^/nobody calls /'
	comm -23 "$listed" "$found" | sed 's/$/ is in test\/deadcode.txt and is not dead: remove its line/'
	exit 1
fi
