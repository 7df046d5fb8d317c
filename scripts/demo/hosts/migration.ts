/** A VM is moved from node 1 to node 2 while a VM on the Open vSwitch host gets a file from it. */
import { portPath, portResource } from '../../../test/lab/host-node.ts';
import { Pinger } from '../../../test/lab/pinger.ts';
import { serveTransfer, Transfer } from '../../../test/lab/transfer.ts';
import { until } from '../../../test/lab/until.ts';
import { moveVm } from '../../../test/lab/vm-host.ts';
import { secondsText } from '../narration.ts';
import type { Row } from '../table.ts';
import type { HostsStage } from './stage.ts';

const PORT = 8080;
const BYTES = 24_000_000;
const BYTES_PER_SECOND = 8_000_000;
/** Seconds that a transfer may stand still; a live migration itself costs about as much. */
const MAX_STALL = 2;

export async function moveUnderTransfer({ all }: HostsStage): Promise<Row[]> {
  const rdid = all.networks[0]?.rdid ?? '';
  const [from, to] = all.nodes;
  const vm = all.vm(2, 1);
  const server = await serveTransfer(vm.namespace, vm.ip, PORT, BYTES);
  const transfer = await Transfer.start(all.vm(1, 3).namespace, vm.ip, PORT, BYTES_PER_SECOND);
  const pinger = await Pinger.answered(all.vm(3, 1).namespace, vm.ip6);
  await until('a part of the file has arrived', 10_000, () => transfer.received > BYTES / 5);

  const begin = performance.now();
  // The port is told before, as for every VM that is about to come; the node finds its interface when it appears.
  await to.api.put(portPath(vm), portResource(vm));
  await moveVm(vm, from, to);
  const { mac, vsid } = vm.spec;
  await all.place(
    rdid,
    vm.addresses.map((ip) => ({ ip, mac, vsid, pa: to.providerAddress })),
  );
  await from.api.delete(portPath(vm));
  const moved = performance.now();

  const { bytes, intact, longestSilence } = await transfer.finished();
  const pings = await pinger.stop();
  await server.end();
  return [
    {
      what: `${vm.ip} moves from node 1 to node 2 under a TCP transfer`,
      seen: `${(bytes / 1e6).toFixed(0)} MB ${intact ? 'intact' : 'damaged'}, stalled ${secondsText(longestSilence)}; moved in ${secondsText(moved - begin)}`,
      ok: intact && bytes === BYTES && longestSilence < MAX_STALL * 1000,
    },
    {
      what: `${vm.ip6} meanwhile, pinged each 10 ms`,
      seen: `${pings.sent - pings.received} of ${pings.sent} lost, longest gap ${secondsText(pings.longestGap)}`,
      ok: pings.longestGap < MAX_STALL * 1000,
    },
  ];
}
