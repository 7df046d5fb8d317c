/** What VICI's `list-sas` tells of the SAs of a connection (strongSwan's documentation of VICI, event `list-sa`). */
import type { DirectionCounters, SiteChildSa, SiteIkeSa } from '../api/operations.ts';
import { algorithmWord } from './algorithm-words.ts';
import type { ViciMessage } from './vici-message.ts';

/** Those of the connection `name`, in the order of strongSwan's list. */
export function readIkeSas(items: readonly ViciMessage[], name: string): SiteIkeSa[] {
  return items.flatMap((item) => {
    const sa = item[name];
    return isSection(sa) ? [ikeSa(sa)] : [];
  });
}

/** Before the peers have agreed on a proposal, there are no algorithms. */
function ikeSa(sa: ViciMessage): SiteIkeSa {
  return {
    state: text(sa.state),
    initiator: sa.initiator === 'yes',
    ageSeconds: number(sa.established),
    ...rekeying(sa),
    localAddress: text(sa['local-host']),
    localPort: number(sa['local-port']),
    localId: text(sa['local-id']),
    remoteAddress: text(sa['remote-host']),
    remotePort: number(sa['remote-port']),
    remoteId: text(sa['remote-id']),
    natLocal: sa['nat-local'] === 'yes',
    natRemote: sa['nat-remote'] === 'yes',
    encryption: cipher(sa),
    ...optional('integrity', sa['integ-alg']),
    prf: algorithmWord(text(sa['prf-alg'])),
    diffieHellmanGroup: algorithmWord(text(sa['dh-group'])),
    childSas: sections(sa['child-sas']).filter(hasKeys).map(childSa),
  };
}

function childSa(sa: ViciMessage): SiteChildSa {
  return {
    state: text(sa.state),
    ageSeconds: number(sa['install-time']),
    ...rekeying(sa),
    spiIn: text(sa['spi-in']),
    spiOut: text(sa['spi-out']),
    encapsulated: sa.encap === 'yes',
    encryption: cipher(sa),
    ...optional('integrity', sa['integ-alg']),
    // Absent as well for the first one, whose keys come from the IKE SA.
    ...optional('diffieHellmanGroup', sa['dh-group']),
    localSubnets: list(sa['local-ts']),
    remoteSubnets: list(sa['remote-ts']),
    received: counters(sa, 'in'),
    sent: counters(sa, 'out'),
  };
}

/** One that is still being made, or waits for packets, has none. */
function hasKeys(sa: ViciMessage): boolean {
  return sa['spi-in'] !== undefined;
}

/** strongSwan's countdown goes below zero while it is at it. */
function rekeying(sa: ViciMessage): { rekeySeconds?: number } {
  const seconds = sa['rekey-time'];
  return seconds === undefined ? {} : { rekeySeconds: Math.max(0, number(seconds)) };
}

function cipher(sa: ViciMessage): string {
  const bits = sa['encr-keysize'];
  return algorithmWord(bits === undefined ? text(sa['encr-alg']) : `${text(sa['encr-alg'])}_${text(bits)}`);
}

function optional<K extends string>(key: K, value: ViciMessage[string] | undefined): { [key in K]?: string } {
  return value === undefined ? {} : ({ [key]: algorithmWord(text(value)) } as { [key in K]?: string });
}

function counters(sa: ViciMessage, direction: 'in' | 'out'): DirectionCounters {
  return { packets: number(sa[`packets-${direction}`]), bytes: number(sa[`bytes-${direction}`]) };
}

function sections(value: ViciMessage[string] | undefined): ViciMessage[] {
  return isSection(value) ? Object.values(value).filter(isSection) : [];
}

function isSection(value: ViciMessage[string] | undefined): value is ViciMessage {
  return typeof value === 'object' && !Array.isArray(value);
}

function list(value: ViciMessage[string] | undefined): string[] {
  return Array.isArray(value) ? value : [];
}

function text(value: ViciMessage[string] | undefined): string {
  return typeof value === 'string' ? value : '';
}

function number(value: ViciMessage[string] | undefined): number {
  return Number(text(value));
}
