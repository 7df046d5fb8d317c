/** Whose packets crossed the uplink: each outward one is held against who owned its source at that moment. */
import type { Capture } from './capture.ts';
import type { NatModel } from './nat-model.ts';

/** From `since` (milliseconds since the epoch) to the next, one of the models was in force. */
export interface Period {
  since: number;
  models: readonly NatModel[];
}

const FIELDS = [
  ...['frame.time_epoch', 'ip.src', 'ip.dst', 'icmp.type', 'icmp.ident'],
  ...['udp.srcport', 'udp.dstport', 'tcp.srcport', 'tcp.dstport', 'udp.payload', 'tcp.payload', 'data.data'],
] as const;
const ECHO_REPLY = '0';
const ECHO_REQUEST = '8';
/** Words of a VM begin with its domain. */
const WORD = /^(?:re \S+ \S+ \d+ )?d(\d+)v\d:/;

/** Packets that left under a source that was nobody's, or another's than whose word they carry. `own` is the node's. */
export async function strangers(
  capture: Capture,
  own: string,
  periods: readonly Period[],
): Promise<{ count: number; wrong: string[] }> {
  const frames = await capture.frames('ip', FIELDS);
  const wrong: string[] = [];
  let count = 0;
  let current = 0;
  for (const frame of frames) {
    const time = Number(frame['frame.time_epoch'][0]) * 1000;
    while ((periods[current + 1]?.since ?? Number.POSITIVE_INFINITY) <= time) current++;
    const [address = ''] = frame['ip.src'];
    const { models = [] } = periods[current] ?? {};
    if (isOutside(address) || address === own) continue;
    count++;
    const [type] = frame['icmp.type'];
    const isError = type !== undefined && type !== ECHO_REPLY && type !== ECHO_REQUEST;
    // The quoted packet went the other way.
    const ports = isError
      ? ([frame['udp.dstport'], frame['tcp.dstport']] as const)
      : ([frame['udp.srcport'], frame['tcp.srcport']] as const);
    const port = Number(ports.flat()[0] ?? frame['icmp.ident'][0]);
    const payload = [frame['udp.payload'], frame['tcp.payload'], frame['data.data']].flat()[0] ?? '';
    const text = Buffer.from(payload.replaceAll(':', ''), 'hex').toString();
    const speaker = WORD.exec(text)?.[1];
    const isRight = models.some((model) => {
      if (type === ECHO_REPLY) return model.isExternal(address);
      const owner = model.ownerOf({ address, port });
      return (
        owner !== undefined && (speaker === undefined || text.startsWith('re') || owner === Number(speaker))
      );
    });
    if (!isRight)
      wrong.push(`${time} ${address}:${port} to ${frame['ip.dst'].join()}: ${type ?? ''} ${text}`);
  }
  return { count, wrong };
}

function isOutside(address: string): boolean {
  return address === '198.51.100.1' || address.startsWith('192.0.2.');
}
