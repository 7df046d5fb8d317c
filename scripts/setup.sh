#!/usr/bin/env bash
# Makes a Debian 12 machine able to build, test and demonstrate hnvgw: installs the Debian packages and npm packages
# that are missing, by name. Quick when there is nothing to do. Needs root only when a Debian package is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"

# What the product runs on, what the build needs, and the independent implementations that the tests talk to. strongSwan: its
# daemon, AES and all that is OpenSSL's, ESP in userspace. FRR: BGP.
RUNTIME=(libbpf1 libnftables1 nftables iproute2 charon-systemd libstrongswan-standard-plugins libcharon-extra-plugins frr)
BUILD=(clang llvm libbpf-dev linux-libc-dev bpftool clang-format)
# keepalived comes without a configuration, and its service does not start without one; dnsmasq-base has no service.
PEERS=(openvswitch-switch dnsmasq-base busybox-static keepalived strongswan-swanctl bird2 tshark tcpdump iperf3 conntrack curl ethtool
  traceroute iputils-ping iputils-arping procps util-linux)

missing=()
for package in "${RUNTIME[@]}" "${BUILD[@]}" "${PEERS[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  # Packages start daemons for the machine, which nobody has asked for: hnvgw and the tests start their own. Those that were there
  # are left.
  if [ -d /run/systemd/system ]; then
    declare -A services=([charon-systemd]=strongswan [frr]=frr [bird2]=bird)
    for package in "${!services[@]}"; do
      if [[ " ${missing[*]} " == *" $package "* ]]; then
        systemctl disable --now --quiet "${services[$package]}.service"
      fi
    done
  fi
fi

# npm writes node_modules/.package-lock.json last, so its age tells whether the last install was finished and is current.
stamp=node_modules/.package-lock.json
if [ ! -f "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  echo 'setup: installing npm packages'
  # Not `npm ci`, which refuses a lock file without the binaries for other platforms, and not every registry has those.
  npm install --no-save --no-fund --no-audit --loglevel=error
  # tap keeps its plugins as generated code; .taprc takes its TypeScript compiler out, since Node needs none.
  tap build >/dev/null
  touch "$stamp"
fi
