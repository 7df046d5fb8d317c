/**
 * The same job by Open vSwitch with its userspace datapath: NVGRE, source NAT by its own connection tracking, and routing in
 * OpenFlow. Its thread runs on the core that is measured, and its time is added to the generator's. It gets frames a few
 * at a time, as many as its sockets have room for, and waits for more in between, so nothing is counted that is spent on looking.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROVIDER_NIC, UPLINK_NIC } from '../test/lab/gateway-node.ts';
import type { Lab } from '../test/lab/lab.ts';
import { OpenVswitch } from '../test/lab/open-vswitch.ts';
import {
  EXTERNAL_ADDRESS,
  GATEWAY,
  GATEWAY_PROVIDER_ADDRESS,
  HOST_PROVIDER_ADDRESS,
  VM,
} from './bench-tenant.ts';
import { layCables, waysOf } from './cables.ts';
import { CORE } from './core-time.ts';
import type { RatePath } from './rate-path.ts';

/** Room in its sockets, and frames that fit: each takes a page there. */
const RECEIVE_BUFFER = '/proc/sys/net/core/rmem_default';
const RECEIVE_BYTES = 128 << 20;
const FRAMES_AT_ONCE = 16_384;
const ZONE = 1;

/** Builds it; it forwards when this resolves. */
export async function buildOvsNat(lab: Lab): Promise<RatePath> {
  const node = await lab.namespace('ovs');
  const cables = await layCables(node, 'ovs', { provider: PROVIDER_NIC, uplink: UPLINK_NIC });
  const ovs = await OpenVswitch.start(node, join(lab.dir, node.name));
  const { provider, uplink } = cables;
  const before = readFileSync(RECEIVE_BUFFER, 'utf8');
  writeFileSync(RECEIVE_BUFFER, `${RECEIVE_BYTES}`);
  try {
    await ovs.vsctl(
      `add-br br-phy -- set bridge br-phy datapath_type=netdev other_config:hwaddr="${provider.nodeMac}"`,
      `add-port br-phy ${PROVIDER_NIC}`,
      'add-br br-int -- set bridge br-int datapath_type=netdev fail_mode=secure',
      'add-port br-int gre0 -- set interface gre0 type=gre options:remote_ip=flow options:key=flow',
      `add-port br-int ${UPLINK_NIC}`,
    );
  } finally {
    writeFileSync(RECEIVE_BUFFER, before);
  }
  await node.ipBatch([`addr add ${GATEWAY_PROVIDER_ADDRESS}/24 dev br-phy`, 'link set br-phy up']);
  const port = async (name: string) => Number(await ovs.vsctl(`get interface ${name} ofport`));
  const [tunnel, outside] = [await port('gre0'), await port(UPLINK_NIC)];
  const vsid = (id: number) => `0x${(id << 8).toString(16)}`;
  const mac = (which: 'src' | 'dst', value: string) => `mod_dl_${which}:${value}`;
  const flows = [
    `in_port=${tunnel},ip,tun_id=${vsid(GATEWAY.vsid)}/0xffffff00,tun_src=${HOST_PROVIDER_ADDRESS},nw_src=${VM.prefix},` +
      `actions=ct(zone=${ZONE},nat,table=1)`,
    `in_port=${outside},ip,nw_dst=${EXTERNAL_ADDRESS},actions=ct(zone=${ZONE},nat,table=2)`,
    `table=1,ct_state=+new+trk,ip,actions=ct(commit,zone=${ZONE},nat(src=${EXTERNAL_ADDRESS})),resubmit(,3)`,
    'table=1,ct_state=+est+trk,ip,actions=resubmit(,3)',
    `table=2,ct_state=+est+trk,ip,nw_dst=${VM.address},actions=dec_ttl,${mac('src', GATEWAY.mac)},${mac('dst', VM.mac)},` +
      `set_field:${vsid(VM.vsid)}->tun_id,set_field:${HOST_PROVIDER_ADDRESS}->tun_dst,output:${tunnel}`,
    `table=3,ip,actions=dec_ttl,${mac('src', uplink.nodeMac)},${mac('dst', uplink.farMac)},output:${outside}`,
  ];
  await lab.runChecked('ovs-ofctl', ['-O', 'OpenFlow13', 'add-flows', join(ovs.dir, 'br-int.mgmt'), '-'], {
    input: `${flows.join('\n')}\n`,
  });
  await lab.runChecked('taskset', ['--all-tasks', '--pid', '--cpu-list', `${CORE}`, `${ovs.switchPid}`]);
  return {
    ...waysOf(cables, {
      tunnel: { form: 'nvgre', upId: GATEWAY.vsid, downId: VM.vsid, mac: GATEWAY.mac },
      external: EXTERNAL_ADDRESS,
      hops: { up: 1, down: 1 },
    }),
    userSpace: { pids: [ovs.switchPid], framesAtOnce: FRAMES_AT_ONCE },
  };
}
