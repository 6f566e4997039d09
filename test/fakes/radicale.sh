#!/bin/sh
# A Radicale server in the foreground: radicale.sh DATADIR PORT
# Listens on 127.0.0.1 only; user "tasks", password "secret".
set -eu

data=$1
port=$2

mkdir -p "$data/collections"
printf 'tasks:secret\n' > "$data/users"
cat > "$data/config" <<CONFIG
[server]
hosts = 127.0.0.1:$port
[auth]
type = htpasswd
htpasswd_filename = $data/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = $data/collections
[logging]
level = warning
CONFIG

exec radicale --config "$data/config"
