/**
 * Settings of strongSwan's IKE daemon, charon, as it is run in a routing context (strongswan.conf(5)). Everything about connections
 * comes over VICI; files under /etc have no say.
 */
import { externalLink } from '../nat/ruleset.ts';
import type { IpsecEngine } from './engine.ts';

/**
 * With the mark, charon does not start without all of the plugin. Ciphers, hashes and groups are OpenSSL's, but for AES by the CPU's own
 * instructions, which is faster in aesni; what derives keys is kdf, because that of openssl fails with SHA-384 (5.9.8).
 */
const PLUGINS = [
  'random!',
  'nonce!',
  'aesni',
  'kdf!',
  'openssl!',
  'pem',
  'pkcs1!',
  'x509!',
  'revocation!',
  'constraints!',
];

const ENGINE_PLUGINS: Record<IpsecEngine, readonly string[]> = {
  kernel: ['kernel-netlink!'],
  // ESP is of the first one, routes and addresses of the other, which then has not all that it could have.
  userspace: ['kernel-libipsec!', 'kernel-netlink'],
};

type Settings = { [key: string]: string | number | Settings };

/** The text of strongswan.conf. `socket` is where it listens for VICI. */
export function charonSettings(engine: IpsecEngine, socket: string): string {
  const settings: Settings = {
    load: [...PLUGINS, ...ENGINE_PLUGINS[engine], 'socket-default!', 'vici!', 'counters!'].join(' '),
    // Some are taken for good by what waits; with 8, all were.
    threads: 16,
    // Routes are ours. The userspace engine makes its own whatever it is told: into a table that is asked after all others.
    install_routes: 'no',
    install_virtual_ip: 'no',
    routing_table: 220,
    routing_table_prio: 40_000,
    // Peers are told (MOBIKE) and spoken to from outside addresses alone, and a route that changes is none of its business.
    interfaces_use: externalLink,
    process_route: 'no',
    // A peer that does not answer is given up after 1 + 1.5 + … + 1.5⁴ = 13 s.
    retransmit_timeout: '1.0',
    retransmit_base: '1.5',
    retransmit_tries: 4,
    inactivity_close_ike: 'yes',
    // A site may have several connections here, behind one address. From 30 half-open ones on, each must return a cookie.
    block_threshold: 32,
    cookie_threshold_ip: 16,
    init_limit_half_open: 256,
    half_open_timeout: 15,
    // Like the userspace engine's; 32, the default, is little for packets that come by several queues.
    replay_window: 128,
    // What is said goes to who listens over VICI. Nothing is kept.
    journal: { default: -1 },
    // Why a start fails, in a file in memory that cannot grow (charon.ts).
    filelog: { stderr: { default: -1, dmn: 1, lib: 1, knl: 1, net: 1 } },
    plugins: {
      // A peer may be in a prefix of its site: what is for it goes by a route of its own.
      'kernel-libipsec': { allow_peer_ts: 'yes' },
      vici: { socket: `unix://${socket}` },
    },
  };
  return section('charon-systemd', settings, '');
}

/** One key a line: a value goes on to the end of its line. */
function section(name: string, settings: Settings, indent: string): string {
  const lines = Object.entries(settings).map(([key, value]) =>
    typeof value === 'object' ? section(key, value, `${indent}  `) : `${indent}  ${key} = ${value}\n`,
  );
  return `${indent}${name} {\n${lines.join('')}${indent}}\n`;
}
