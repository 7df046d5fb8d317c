/**
 * New TCP connections from a tenant to the internet: through the gateway, and through what is built by hand, in turns. The cost
 * of both ends is in all of them alike, which draws ratios towards 1.
 */
import type { Fabric } from '../test/lab/fabric.ts';
import { Namespace } from '../test/lab/namespace.ts';
import { EXTERNAL_ADDRESS, INTERNET_ADDRESS, UPLINK_ADDRESS } from './bench-tenant.ts';
import { connectionContender, type NatConnection } from './connection-rate.ts';
import { contest } from './contest.ts';
import floors from './floors.json' with { type: 'json' };
import type { GatewayPath } from './gateway-path.ts';
import { buildHandNat } from './hand-nat.ts';
import { buildHandPath } from './hand-path.ts';
import { buildHandVm } from './hand-vm.ts';
import { type Comparison, showTurns } from './report.ts';

const ROUNDS = 9;

/** `vm` is the namespace of the gateway's tenant. */
export async function connections(fabric: Fabric, path: GatewayPath, vm: Namespace): Promise<Comparison[]> {
  console.log(
    'Gateway, new TCP connections from a VM to the internet, NATed; both ends on one core, and free',
  );
  const gateway: NatConnection = {
    client: vm,
    server: path.internet,
    address: INTERNET_ADDRESS,
    source: EXTERNAL_ADDRESS,
    nat: new Namespace(fabric.lab, path.context),
  };
  const hand = await overlayByHand(fabric, 'cv', { routed: true });
  const handDirect = await overlayByHand(fabric, 'cu', { routed: false });
  const plain = await plainByHand(fabric, 'cp', true);
  const plainDirect = await plainByHand(fabric, 'cd', false);
  const contenders = {
    gateway: await connectionContender(gateway, { oneCore: true }),
    hand: await connectionContender(hand, { oneCore: true }),
    handDirect: await connectionContender(handDirect, { oneCore: true }),
    plain: await connectionContender(plain, { oneCore: true }),
    plainDirect: await connectionContender(plainDirect, { oneCore: true }),
    gatewayFree: await connectionContender(gateway, { oneCore: false }),
    handFree: await connectionContender(hand, { oneCore: false }),
  };
  const unit = '1000/s';
  const figures = await contest(contenders, ROUNDS, showTurns(unit));
  const common = { unit, hnvgw: figures.gateway, floor: undefined };
  return [
    {
      ...common,
      title: 'gateway, new TCP connections on one core : VXLAN, namespace and nft by hand',
      reference: figures.hand,
      floor: floors.connections,
    },
    {
      ...common,
      title: '… with the uplink in the namespace, for one tenant alone',
      reference: figures.handDirect,
      floor: floors.connectionsDirect,
    },
    { ...common, title: '… without a tunnel', reference: figures.plain },
    { ...common, title: '… without a tunnel and a host', reference: figures.plainDirect },
    { ...common, title: '… on all cores', hnvgw: figures.gatewayFree, reference: figures.handFree },
  ];
}

/** All that the gateway's tenant has, of the kernel's own: the VM behind a host with a tunnel. */
async function overlayByHand(
  fabric: Fabric,
  short: string,
  form: { routed: boolean },
): Promise<NatConnection> {
  const hand = await buildHandPath(fabric.lab, short, form);
  const client = await buildHandVm(fabric.lab, short, hand);
  const { internet: server, tenant: nat, externalAddress: source } = hand;
  return { client, server, nat, address: INTERNET_ADDRESS, source };
}

async function plainByHand(fabric: Fabric, short: string, behindHost: boolean): Promise<NatConnection> {
  const { vm: client, internet: server, nat } = await buildHandNat(fabric, short, { behindHost });
  return { client, server, nat, address: INTERNET_ADDRESS, source: UPLINK_ADDRESS };
}
