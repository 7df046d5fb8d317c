/**
 * Source NAT as one writes it by hand: a namespace that forwards from a tenant to the internet, and two lines of nftables. No
 * tunnel, one tenant, no checks. `behindHost`: the tenant's machine is behind a host on a provider network, as a VM is,
 * where plain routing stands in for the tunnel. Otherwise it hangs on the namespace itself, two hops less.
 */
import type { Fabric } from '../test/lab/fabric.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { INTERNET_ADDRESS, ROUTER_ADDRESS, UPLINK_ADDRESS, VM } from './bench-tenant.ts';
import { forward } from './hand-path.ts';

/** On the gateway's provider network, in a prefix of their own. */
const HOST_ADDRESS = '192.168.3.10';
const NAT_ADDRESS = '192.168.3.20';

const RULESET = `table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan0" snat to ${UPLINK_ADDRESS}
  }
}
`;

export interface HandNat {
  vm: Namespace;
  nat: Namespace;
  internet: Namespace;
}

/** Builds it; `short` begins the names of its namespaces. */
export async function buildHandNat(
  fabric: Fabric,
  short: string,
  { behindHost }: { behindHost: boolean },
): Promise<HandNat> {
  const { lab } = fabric;
  const vm = await lab.namespace(`${short}vm`);
  const nat = await lab.namespace(`${short}nat`);
  const internet = await lab.namespace(`${short}inet`);
  if (behindHost) {
    const host = await lab.namespace(`${short}host`);
    await lab.veth(vm, 'eth0', host, 'vm0');
    for (const [namespace, address] of [
      [host, HOST_ADDRESS],
      [nat, NAT_ADDRESS],
    ] as const) {
      await fabric.attach(namespace, 'pa0', { wireFrames: false });
      await namespace.ip('addr', 'add', `${address}/24`, 'dev', 'pa0');
    }
    await host.ipBatch([`addr add ${ROUTER_ADDRESS}/24 dev vm0`, `route add default via ${NAT_ADDRESS}`]);
    await nat.ip('route', 'add', VM.prefix, 'via', HOST_ADDRESS);
    await forward(host);
  } else {
    await lab.veth(vm, 'eth0', nat, 'vm0');
    await nat.ip('addr', 'add', `${ROUTER_ADDRESS}/24`, 'dev', 'vm0');
  }
  await lab.veth(nat, 'wan0', internet, 'lan0');
  await vm.ipBatch([`addr add ${VM.address}/24 dev eth0`, `route add default via ${ROUTER_ADDRESS}`]);
  await nat.ip('addr', 'add', `${UPLINK_ADDRESS}/24`, 'dev', 'wan0');
  await internet.ip('addr', 'add', `${INTERNET_ADDRESS}/24`, 'dev', 'lan0');
  await forward(nat);
  await nat.runChecked(['nft', '-f', '-'], { input: RULESET });
  return { vm, nat, internet };
}
