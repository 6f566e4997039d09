#!/bin/sh
# A sabre/dav server in the foreground: sabre.sh DATADIR PORT
# Listens on 127.0.0.1 only; user "tasks", password "secret".
set -eu

data=$1
port=$2

mkdir -p "$data"
SABRE_DATA=$data
export SABRE_DATA
exec php -S "127.0.0.1:$port" "$(dirname "$0")/sabre/server.php"
