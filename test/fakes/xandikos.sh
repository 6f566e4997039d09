#!/bin/sh
# A Xandikos server in the foreground: xandikos.sh DATADIR PORT
# Listens on 127.0.0.1 only; it has no authentication of its own, and takes
# any user name and password.
set -eu

data=$1
port=$2

mkdir -p "$data"
exec xandikos --directory "$data" --listen-address 127.0.0.1 --port "$port" \
	--current-user-principal /tasks/ --defaults
