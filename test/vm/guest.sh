#!/bin/bash
# The virtual machine's process 1 on its root file system: mounts what tests find on a running system, runs them one after the
# other with their output on the second serial line, and turns the machine off.
# Arguments: the project's folder, test files.
export PATH=$1/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
cd "$1" || exit
shift

mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/netns /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
ln -sf fd/0 /dev/stdin
ln -sf fd/1 /dev/stdout
ln -sf fd/2 /dev/stderr
ip link set lo up
# As udev's static nodes are on a running system: /dev/net/tun is there.
modprobe tun
stty -F /dev/ttyS1 raw -echo

# Programs are started many times: node need not strip and compile them each time.
export NODE_COMPILE_CACHE=/run/compile-cache
# The time limit is the machine's own.
export TAP_TIMEOUT=1000
for file; do
  echo "# file $file, $SECONDS s after the start"
  node "$file" </dev/null || echo "# exit status $? of $file"
done >/dev/ttyS1 2>&1
echo '# all files have run' >/dev/ttyS1
echo o >/proc/sysrq-trigger
sleep 60
