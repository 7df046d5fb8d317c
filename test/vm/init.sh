#!/bin/busybox sh
# The first program of the virtual machine: brings up the root file system and hands over to guest.sh there.
# Arguments: the project's folder, test files.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
# As far as the tests go, nobody changes what is below while the machine runs: what was read once may be kept.
for share in root:/below packages:/packages; do
  mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro "${share%:*}" "${share#*:}" || poweroff -f
done
mount -t tmpfs -o size=75% tmpfs /above
mkdir /above/files /above/work
mount -t overlay -o lowerdir=/packages:/below,upperdir=/above/files,workdir=/above/work overlay /root || poweroff -f
for folder in dev sys proc; do mount --move "/$folder" "/root/$folder"; done
exec switch_root /root /bin/bash "$1/test/vm/guest.sh" "$@"
