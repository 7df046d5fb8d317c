#!/usr/bin/env bash
# Runs test files as root under Debian's own kernel, for what the kernel of this machine may not have: run.sh [FILES], by default
# those of this folder.
#
# qemu emulates the machine in software, so this needs no KVM; what computes takes ten times as long as here, and starting a
# program more than that. Its root file system is this machine's, read-only, with the packages below laid over it, which are
# installed nowhere else, and a tmpfs on top: nothing that the tests do comes back. It has no network. Prints the tests' TAP and
# ends in the line `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- test/vm/*.test.ts

CACHE=/var/cache/hnvgw-vm
LIMIT_SECONDS=360
MEMORY_MB=2048
TOOLS=(qemu-system-x86 kmod cpio busybox-static)
# Libreswan cannot be installed beside strongSwan; with the libraries that are not everywhere.
INSIDE=(libreswan libldns3 libunbound8 libcurl3-nss libevent-core-2.1-7 libevent-pthreads-2.1-7 libnss3 libnss3-tools libnspr4)

missing=()
for package in "${TOOLS[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "test/vm: installing Debian packages: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

kernel_release() { apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: linux-image-//p'; }
# Downloads and unpacks the packages into a folder, as a root file system has them.
unpack() {
  mkdir -p "$1/packages"
  # apt would download as a user of its own, who may not write here.
  (cd "$1/packages" && apt-get -qq -o APT::Sandbox::User=root download "${@:2}")
  for package in "$1"/packages/*.deb; do dpkg -x "$package" "$1"; done
  rm -r "$1/packages"
  cp -al "$1/lib/." "$1/usr/lib/"
  rm -r "$1/lib"
  ln -s usr/lib "$1/lib"
}
kernel=$(kernel_release)
packages=$CACHE/$kernel
if [ -z "$kernel" ] || [ ! -d "$packages" ]; then
  apt-get update -qq
  kernel=$(kernel_release)
  packages=$CACHE/$kernel
  echo "test/vm: unpacking Debian packages: linux-image-$kernel ${INSIDE[*]}"
  rm -rf "$CACHE"
  unpack "$packages.new" "linux-image-$kernel" "${INSIDE[@]}"
  depmod -b "$packages.new" "$kernel"
  # From here on it is there, and whole.
  mv "$packages.new" "$packages"
fi

work=$(mktemp -d)
machine=
clean_up() {
  # `timeout` hands the signal on to qemu.
  if [ -n "$machine" ]; then kill "$machine" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# The first file system: busybox, and the modules on the way to the root file system in the order of loading.
mkdir -p "$work"/first/{bin,modules,proc,sys,dev,below,packages,above,root}
cp /bin/busybox "$work/first/bin/"
cp test/vm/init.sh "$work/first/init"
chmod +x "$work/first/init"
for module in virtio_pci 9pnet_virtio 9p overlay; do
  modprobe -d "$packages" -S "$kernel" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
  cp "$module" "$work/first/modules/"
  basename "$module" >>"$work/first/modules/order"
done
(cd "$work/first" && find . | cpio --quiet -o -H newc) >"$work/initrd"

share='security_model=none,readonly=on,multidevs=remap'
# One processor, and without memory protection keys (PKU): else node dies now and then when it starts, of a check of V8's own or a
# segmentation fault (qemu 7.2: 4 of 30 machines).
processor=(-cpu max,-pku -smp 1)
# What follows `--` are the arguments of init.
arguments="console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on -- $PWD $*"
mkfifo "$work/tap"
timeout $LIMIT_SECONDS qemu-system-x86_64 -nodefaults -no-reboot -display none -monitor none \
  -accel tcg "${processor[@]}" -m $MEMORY_MB \
  -kernel "$packages/boot/vmlinuz-$kernel" -initrd "$work/initrd" -append "$arguments" \
  -virtfs "local,path=/,mount_tag=root,$share" -virtfs "local,path=$packages,mount_tag=packages,$share" \
  -serial "file:$work/console" -serial stdio </dev/null >"$work/tap" &
machine=$!
# A file that fails although none of its tests did counts as one that failed.
awk '
  /^# all files have run$/ { ended = 1; next }
  /^# file / { broken = 0 }
  /^# exit status / && !broken { failed++ }
  /^ok / { passed++ }
  /^not ok / { failed++; broken = 1 }
  { print; fflush() }
  END {
    if (!ended) { print "not ok - the machine ran all files in its time"; failed++ }
    printf "%d passed, %d failed\n", passed, failed
    exit failed > 0
  }' "$work/tap" &
if ! wait $!; then
  # What the kernel said; to standard error, so that the line with the sum is the last of the output.
  tail -n 40 "$work/console" >&2
  exit 1
fi
