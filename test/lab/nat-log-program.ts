/**
 * A program for tests: keeps a NAT log of sessions for one context until it is ended. `PATH BUFFERBYTES RDID NETNS`; says `logging` when
 * the log has begun.
 */
import { NatLog } from '../../src/nat/log/nat-log.ts';

const [path = '', bufferBytes = '0', rdid = '', netns = ''] = process.argv.slice(2);
const log = new NatLog({ path, records: ['sessions'], bufferBytes: Number(bufferBytes) });
log.start([[rdid, netns]]);
log.watch(rdid, netns);
console.log('logging');
setInterval(() => undefined, 60_000);
