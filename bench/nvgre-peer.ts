/**
 * A fast NVGRE host for one VM, so that a TCP stream measures the gateway and not its peer: the encap core itself in another
 * namespace, with the VM behind a port and its maps written by hand, as a host agent would write them.
 */
import { EncapCore } from '../src/encap/core.ts';
import {
  encodeInterfaceKey,
  encodeMac,
  encodeMacKey,
  encodePort,
  encodePortKey,
  encodeProvider,
  encodeProviderKey,
  encodeRecord,
  encodeRecordKey,
  encodeRoute,
  encodeRouteKey,
  encodeSource,
  encodeSourceKey,
  encodeSubnet,
  encodeSubnetKey,
  encodeWildcard,
  encodeWildcardKey,
} from '../src/encap/layout.generated.ts';
import { ifindexOf } from '../src/linux/links.ts';
import { inNetns } from '../src/linux/netns.ts';
import { addressBytes, macBytes, prefixBytes } from '../src/policy/address.ts';
import { routerMac } from '../src/policy/router.ts';
import type { Fabric } from '../test/lab/fabric.ts';
import { removeGatewayRemains } from '../test/lab/gateway-remains.ts';
import type { Namespace } from '../test/lab/namespace.ts';
import { VM_MTU } from '../test/lab/vm.ts';
import {
  GATEWAY,
  GATEWAY_PROVIDER_ADDRESS,
  HOST_PROVIDER_ADDRESS,
  ROUTER_ADDRESS,
  VM,
} from './bench-tenant.ts';

const PROVIDER_NIC = 'pa0';
const PORT = 'port0';
/** Pins of the peer's core, beside those of the gateway. */
const INSTANCE = 'benchpeer';
const DOMAIN = 1;
const PADDING = new Uint8Array(2);
const CAPACITY = { routingDomains: 1, lookupRecords: 16, customerRoutes: 16, externalAddresses: 1 };

/** Builds the host and its VM, and answers the VM's namespace. */
export async function buildNvgrePeer(fabric: Fabric): Promise<Namespace> {
  const { lab } = fabric;
  const host = await lab.namespace('host');
  const vm = await lab.namespace('vm');
  await fabric.attach(host, PROVIDER_NIC, { wireFrames: false });
  await host.ip('addr', 'add', `${HOST_PROVIDER_ADDRESS}/24`, 'dev', PROVIDER_NIC);
  await lab.veth(vm, 'eth0', host, PORT);
  await host.ip('link', 'set', PORT, 'mtu', `${VM_MTU}`);
  await vm.ipBatch([
    `link set eth0 mtu ${VM_MTU} address ${VM.mac}`,
    `addr add ${VM.address}/24 dev eth0`,
    `neigh add ${ROUTER_ADDRESS} lladdr ${routerMac} dev eth0`,
    `route add default via ${ROUTER_ADDRESS}`,
  ]);
  await removeGatewayRemains(INSTANCE);
  const core = EncapCore.open(INSTANCE, CAPACITY);
  lab.onClose(() => {
    core.close();
    return removeGatewayRemains(INSTANCE);
  });
  inNetns(host.name, () => {
    const links = { provider: ifindexOf(PROVIDER_NIC) ?? 0, port: ifindexOf(PORT) ?? 0 };
    program(core, links);
    core.attach('port', links.port);
    core.attach('provider', links.provider);
  });
  return vm;
}

function program(core: EncapCore, links: { provider: number; port: number }): void {
  const set = (map: string, key: Uint8Array, value: Uint8Array): void => core.map(map).update(key, value);
  const gatewayPa = addressBytes(GATEWAY_PROVIDER_ADDRESS);
  const hostPa = addressBytes(HOST_PROVIDER_ADDRESS);
  const mac = macBytes(VM.mac);
  const port = encodePort({
    domain: DOMAIN,
    vsid: VM.vsid,
    ifindex: links.port,
    mtu: VM_MTU,
    providerIfindex: links.provider,
    providerAddress: hostPa,
  });
  set('ports_by_link', encodeInterfaceKey({ ifindex: links.port }), port);
  set('ports_by_mac', encodePortKey({ domain: DOMAIN, mac, pad: PADDING }), port);
  set('port_macs', encodeMacKey({ mac, pad: PADDING }), encodeMac({ ports: 1 }));

  // Out: everything outside the subnet goes to the gateway's `.2`.
  const { bytes: anywhere } = prefixBytes('0.0.0.0/0');
  set(
    'routes',
    encodeRouteKey({ prefixLength: 32 + 96, domain: DOMAIN, address: anywhere }),
    encodeRoute({ vsid: GATEWAY.vsid, onLink: 0, nextHop: addressBytes(GATEWAY.address) }),
  );
  set(
    'records',
    encodeRecordKey({ domain: DOMAIN, address: addressBytes(GATEWAY.address) }),
    encodeRecord({
      vsid: GATEWAY.vsid,
      providerAddress: gatewayPa,
      mac: macBytes(GATEWAY.mac),
      pad: PADDING,
    }),
  );

  // In: any outside address may come from the gateway, with the distributed router's MAC.
  set('providers', encodeProviderKey({ address: hostPa }), encodeProvider({ ifindex: links.provider }));
  for (const { vsid } of [VM, GATEWAY])
    set('subnets', encodeSubnetKey({ vsid }), encodeSubnet({ domain: DOMAIN }));
  set('sources', encodeSourceKey({ domain: DOMAIN, address: gatewayPa }), encodeSource({ allowed: 1 }));
  set(
    'wildcards',
    encodeWildcardKey({ domain: DOMAIN, providerAddress: gatewayPa, mac: macBytes(routerMac), pad: PADDING }),
    encodeWildcard({ allowed: 1 }),
  );
}
