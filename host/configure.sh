#!/bin/sh
# Unpacks a host bundle that was copied to this server, and installs it. Run over SSH as root by the program, on
# standard input of: sh -s configure DIGEST [ADDRESS]
set -eu

digest=$2
address=${3:-}
python=/opt/flask/python/bin/python3
folder=/var/lib/flask/host/$digest

rm -rf "$folder"
mkdir -p "$folder"
tar -xzf "/var/lib/flask/incoming/host-$digest.tar.gz" -C "$folder"

# nginx does not start without a certificate that its files name. The settings are there where tls is on.
if [ -e "$folder/etc/flask/tls.json" ]; then
  "$python" -B -I "$folder/opt/flask/lib/flask_certificate" placeholder "$folder/etc/flask/tls.json"
fi
exec "$python" "$folder/opt/flask/lib/flask_release" configure ${address:+--address "$address"} "$folder"
