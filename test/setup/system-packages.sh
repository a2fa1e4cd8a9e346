#!/usr/bin/env bash
# Installs what only the tests need from the system: two browser engines with WebRTC, one without, fonts,
# a tracer of system calls, a TURN server, and what separate networks are made with.
# Debian or Ubuntu; run as root or with sudo at hand. Installs nothing when everything is there.
set -euo pipefail

packages=(openssl chromium firefox-esr webkit2gtk-driver xvfb xauth dbus-x11 fonts-noto-cjk fonts-noto-core strace coturn iproute2)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
  echo "All system packages are installed."
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q
"${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"

# The tests start a TURN server of their own; the package would run one for everybody from now on.
for package in "${missing[@]}"; do
  if [ "$package" = coturn ] && [ -d /run/systemd/system ]; then
    "${as_root[@]}" systemctl disable --now coturn
  fi
done
