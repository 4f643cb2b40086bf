#!/bin/sh
# Waits until the first boot is over and says how it went. Run over SSH as root by the program, in any sh.
#
# `cloud-init status --wait` is not used: before 24.1 it returns at the first recorded error while scripts still
# run, and says 0 where cloud-init is disabled. Time comes from the uptime, since the clock may jump when NTP sets in.
# FLASK_ROOT and FLASK_READY_LIMIT (seconds) are set by tests only.

root=${FLASK_ROOT:-}
limit=${FLASK_READY_LIMIT:-1200}
bootstrap_log=$root/var/log/flask-bootstrap.log
cloud_init_log=$root/var/log/cloud-init-output.log

uptime_seconds() {
  read -r up rest </proc/uptime
  echo "${up%%.*}"
}

give_up() {
  echo "The server did not get ready: $1" >&2
  for log in "$bootstrap_log" "$cloud_init_log"; do
    [ -s "$log" ] || continue
    echo "--- last lines of ${log#"$root"} ---" >&2
    tail -n 40 "$log" >&2
    [ "$log" = "$bootstrap_log" ] && [ -e "$root/var/lib/flask/failed" ] && break
  done
  exit 1
}

start=$(uptime_seconds)
told=0
while [ ! -e "$root/run/cloud-init/result.json" ]; do
  if [ -e "$root/run/cloud-init/disabled" ]; then
    give_up "cloud-init is disabled on this image, so nothing prepared it. Choose an image with cloud-init."
  fi
  waited=$(($(uptime_seconds) - start))
  if [ "$waited" -ge "$limit" ]; then
    give_up "cloud-init was still running after $waited seconds."
  fi
  if [ "$waited" -ge $((told + 15)) ]; then
    told=$waited
    echo "waiting for cloud-init, ${waited}s: $(tail -n 1 "$bootstrap_log" 2>/dev/null || echo 'bootstrap not begun')" >&2
  fi
  sleep 0.5 2>/dev/null || sleep 1
done

if [ -e "$root/var/lib/flask/failed" ]; then
  give_up "$(cat "$root/var/lib/flask/failed")"
fi
if [ ! -e "$root/var/lib/flask/ready" ]; then
  if [ -e "$bootstrap_log" ]; then
    give_up "cloud-init is done, but the bootstrap was ended before its last step."
  fi
  give_up "cloud-init is done, but it never started the bootstrap: the image's cloud-init got no user data or refused it."
fi
cat "$root/var/lib/flask/ready"
