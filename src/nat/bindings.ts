/**
 * Endpoint-independent and address-dependent filtering (RFC 4787 section 5, RFC 5382 section 4.2) as a table of its own. The
 * default, address and port-dependent filtering, is what connection tracking does by itself.
 *
 * A binding is an external address and port with the endpoint inside that has it. The packets themselves make and keep
 * bindings: each that comes from inside sets the time anew (RFC 4787 REQ-6). `bindings` leads from outside to the endpoint,
 * `endpoints` gives an endpoint the same port again although no session of it lives, `taken` tells which ports are bound, and
 * `contacts` to whom a binding has sent, where only these may answer.
 *
 * A port belongs to one endpoint (no overloading, RFC 4787 REQ-3), where the kernel's NAT minds only that sessions differ. An
 * endpoint that has no binding yet and would keep a port that is taken gets a random one. Should that be taken too, its
 * packet is dropped and counted, and the next one tries its luck again. So it is for whoever wants a port in the same moment as
 * another endpoint, on another processor: `claims` has room for one packet a port, and tells that in one step.
 *
 * IPv4 alone: libnftables 1.0.6 has no room for the key of such a map of IPv6, and ends the process (`Assertion dreg < reg_low`).
 */

import { addressFamily } from '../policy/address.ts';
import type { NatPlan } from '../policy/plan.ts';
import { sharesOf, target } from './sharing.ts';

type Protocol = 'tcp' | 'udp';

/**
 * Bindings, at most. The lower 16 bits are 0: so the kernel begins small, and grows (rhashtable's nelem_hint is of 16 bits).
 */
const SIZE = 65_536;
/** Mark of a packet whose endpoint had no binding, on its way from source NAT to the check. */
const FRESH = 1;

const ENDPOINT = 'ipv4_addr . inet_proto . inet_service';
const REFUSE = 'counter name "refused_bindings" drop';
/** Of a packet from inside, behind source NAT. */
const IS_TAKEN = 'ip saddr . meta l4proto . th sport @taken';

/** Matches all but the first packet within a second: what is kept of that one is in `taken` much sooner. */
const CLAIM =
  'update @claims { ip saddr . meta l4proto . th sport timeout 1s limit rate over 1/second burst 1 packets }';

/** Undefined when the filtering of both protocols is connection tracking's. */
export function bindingTable(rdid: string, plan: NatPlan): string | undefined {
  const protocols = (['tcp', 'udp'] as const).filter(
    (protocol) => plan.filtering[protocol] !== 'addressAndPortDependent',
  );
  const shares = sharesOf(rdid, plan, 4);
  if (protocols.length === 0 || shares.length === 0) return undefined;
  const set = (kind: string, name: string, type: string): string =>
    `  ${kind} ${name} {\n    type ${type}\n    flags dynamic,timeout\n    size ${SIZE}\n  }\n`;
  const chain = (name: string, rules: string[]): string =>
    `  chain ${name} {\n${rules.map((rule) => `    ${rule}\n`).join('')}  }\n`;
  const oneToOne = plan.oneToOne.filter(({ external }) => addressFamily(external) === 4);
  return [
    'table inet hnvgw_bindings {\n  counter refused_bindings {\n  }\n',
    set('map', 'bindings', `${ENDPOINT} : ipv4_addr . inet_service`),
    set('map', 'endpoints', `${ENDPOINT} : ipv4_addr . inet_service`),
    set('set', 'taken', ENDPOINT),
    set('set', 'contacts', `${ENDPOINT} . ipv4_addr`),
    set('set', 'claims', ENDPOINT),
    ...protocols.map((protocol) => chain(`keep_${protocol}`, keepRules(plan, protocol))),
    chain('arriving', [
      'type nat hook prerouting priority dstnat + 10; policy accept;',
      ...protocols.flatMap((protocol) => arrivalRules(plan, protocol)),
    ]),
    chain('endpoint', [
      'iifname != "hnv" accept',
      ...oneToOne.map(({ internal }) => `ip saddr ${internal} accept`),
      ...protocols.map(
        (protocol) => `meta l4proto ${protocol} snat ip to ip saddr . meta l4proto . th sport map @endpoints`,
      ),
      `meta mark set ${FRESH}`,
      ...shares.flatMap(({ external, pick }) =>
        protocols.map(
          (protocol) =>
            `${pick} meta l4proto ${protocol} ip saddr & 0.0.0.0 | ${external.address} . meta l4proto . th sport @taken snat ip to ${target(external)} random`,
        ),
      ),
    ]),
    chain('translation', [
      'type nat hook postrouting priority srcnat - 5; policy accept;',
      'oifname "ext" goto endpoint',
      'iifname "hnv" ct status dnat goto endpoint',
    ]),
    chain('leaving', [
      'type filter hook postrouting priority 290; policy accept;',
      ...(protocols.includes('tcp') ? [resetRule(plan)] : []),
      'iifname != "hnv" accept',
      ...oneToOne.map(({ external }) => `ip saddr ${external} accept`),
      ...protocols.map(
        (protocol) => `meta nfproto ipv4 meta l4proto ${protocol} ct status snat,dnat goto keep_${protocol}`,
      ),
      'meta mark set 0',
    ]),
    '}\n',
  ].join('');
}

/** Behind port mappings, which go before. Hosts inside may reach each other anyway, and so by each other's bindings. */
function arrivalRules(plan: NatPlan, protocol: Protocol): string[] {
  const binding = 'ip daddr . meta l4proto . th dport';
  const isKnown = plan.filtering[protocol] === 'addressDependent' ? `${binding} . ip saddr @contacts ` : '';
  const rule = (link: string, check: string): string =>
    `iifname "${link}" meta l4proto ${protocol} ${check}dnat ip to ${binding} map @bindings`;
  return [rule('ext', isKnown), ...(plan.hairpinning === 'local' ? [rule('hnv', '')] : [])];
}

/** Where a packet of a session has the parts of its binding: address and port inside and outside, and the remote's address. */
interface Place {
  inside: readonly [address: string, port: string];
  outside: readonly [address: string, port: string];
  remote: string;
}

/** What is sent by a session that was begun inside; its remote as it was asked for. */
const BEGUN: Place = {
  inside: ['ct original ip saddr', 'ct original proto-src'],
  outside: ['ip saddr', 'th sport'],
  remote: 'ct original ip daddr',
};
/** What answers a session that came by a binding. */
const ANSWERING: Place = {
  inside: ['ct reply ip saddr', 'ct reply proto-src'],
  outside: ['ip saddr', 'th sport'],
  remote: 'ct original ip saddr',
};
/** What comes to a session that was begun inside. */
const COMING: Place = {
  inside: ['ct original ip saddr', 'ct original proto-src'],
  outside: ['ct reply ip daddr', 'ct reply proto-dst'],
  remote: 'ct original ip daddr',
};

/** Sets the time of all that belongs to a packet's binding, seconds. Does not go on when there is no room. */
function keep(plan: NatPlan, protocol: Protocol, { inside, outside, remote }: Place, time: number): string {
  const key = (endpoint: readonly [string, string]): string => endpoint.join(' . meta l4proto . ');
  const value = (endpoint: readonly [string, string]): string => endpoint.join(' . ');
  return [
    // Without it a session's port would not be taken for one.
    `meta l4proto ${protocol}`,
    `update @bindings { ${key(outside)} timeout ${time}s : ${value(inside)} }`,
    `update @endpoints { ${key(inside)} timeout ${time}s : ${value(outside)} }`,
    `update @taken { ${key(outside)} timeout ${time}s }`,
    ...(plan.filtering[protocol] === 'addressDependent'
      ? [`update @contacts { ${key(outside)} . ${remote} timeout ${time}s }`]
      : []),
  ].join(' ');
}

/**
 * A binding lives as long as a session of it would (of TCP: as its session would in the state that it is in). Only who
 * begins makes one: what answers by a port mapping has none. When there is no room for it, nothing is begun.
 */
function keepRules(plan: NatPlan, protocol: Protocol): string[] {
  const { udp, tcpEstablished, tcpTransient } = plan.timeouts;
  const times: [when: string, time: number][] =
    protocol === 'udp'
      ? [['', udp]]
      : [
          [`ct expiration > ${tcpTransient}s `, tcpEstablished],
          ['', tcpTransient],
        ];
  return [
    `meta mark ${FRESH} ${IS_TAKEN} ${REFUSE}`,
    `meta mark ${FRESH} meta l4proto ${protocol} ${CLAIM} ${REFUSE}`,
    'meta mark set 0',
    ...times.map(
      ([when, time]) => `ct direction original ${when}${keep(plan, protocol, BEGUN, time)} accept`,
    ),
    `ct direction original ct state new ${REFUSE}`,
    ...times.map(
      ([when, time]) =>
        `ct direction reply ${IS_TAKEN} ${when}${keep(plan, protocol, ANSWERING, time)} accept`,
    ),
  ];
}

/** A reset from outside ends a connection, and nobody inside says anything more. */
function resetRule(plan: NatPlan): string {
  const isTaken = 'ct reply ip daddr . meta l4proto . ct reply proto-dst @taken';
  const match = `oifname "hnv" iifname "ext" tcp flags rst ct direction reply ${isTaken}`;
  return `${match} ${keep(plan, 'tcp', COMING, plan.timeouts.tcpTransient)} accept`;
}
