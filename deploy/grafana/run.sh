#!/bin/sh
# Starts a Grafana with the dashboards of the RPN, on the loopback, without a
# password and read-only: a look on this machine, not a service. Its data are
# thrown away at the end.
#
#   PROMETHEUS=http://127.0.0.1:9090 PORT=3000 deploy/grafana/run.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if command -v grafana-server >/dev/null 2>&1; then
	server="grafana-server"
elif command -v grafana >/dev/null 2>&1; then
	server="grafana server"
else
	echo "grafana: none is installed. Install the package grafana (https://grafana.com/docs/grafana/latest/setup-grafana/installation/debian/), or copy" >&2
	echo "dashboards/grafana/*.json into the Grafana that you have: docs/operating/dashboards.md" >&2
	exit 1
fi
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
trap 'exit 130' INT TERM
export RPN_PROMETHEUS="${PROMETHEUS:-http://127.0.0.1:9090}" RPN_DASHBOARDS="$here/../../dashboards/grafana"
export GF_PATHS_PROVISIONING="$here/provisioning" GF_PATHS_DATA="$data" GF_PATHS_LOGS="$data" GF_LOG_MODE=console
export GF_SERVER_HTTP_ADDR=127.0.0.1 GF_SERVER_HTTP_PORT="${PORT:-3000}"
export GF_AUTH_ANONYMOUS_ENABLED=true GF_AUTH_ANONYMOUS_ORG_ROLE=Viewer GF_AUTH_DISABLE_LOGIN_FORM=true
export GF_ANALYTICS_REPORTING_ENABLED=false GF_ANALYTICS_CHECK_FOR_UPDATES=false GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES=false GF_NEWS_NEWS_FEED_ENABLED=false
echo "grafana: http://127.0.0.1:$GF_SERVER_HTTP_PORT/dashboards, figures of $RPN_PROMETHEUS; Ctrl-C ends it"
$server --homepath "${GRAFANA_HOME:-/usr/share/grafana}"
