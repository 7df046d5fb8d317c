#!/bin/sh
# What udhcpc runs: sets address and default route of a lease in the client's namespace, and prints the lease. Leaves
# resolv.conf alone, which belongs to the machine.
set -e
# The router is the distributed one, the first of a list.
# shellcheck disable=SC2154 # udhcpc sets interface, ip, mask, router, serverid, lease.
case "$1" in
  deconfig)
    ip -4 addr flush dev "$interface"
    ;;
  bound | renew)
    gateway="${router%% *}"
    ip addr replace "$ip/$mask" dev "$interface"
    [ -z "$gateway" ] || ip route replace default via "$gateway" dev "$interface"
    echo "lease $ip $subnet ${gateway:--} $serverid $lease"
    ;;
esac
