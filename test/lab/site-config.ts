/** A site's own side of its tunnels as strongSwan's administrators write it: strongswan.conf and swanctl.conf. */

/** Sections and values of strongswan.conf(5). */
interface Sections {
  [key: string]: string | number | readonly string[] | Sections | undefined;
}

/** One connection with one child, both called `name`. What is left out is strongSwan's default. */
export interface SiteTunnel {
  name: string;
  /** Address of the gateway; the `%any` of swanctl when the site only answers. */
  remoteAddress: string;
  /** Default: any of the site's. */
  localAddress?: string;
  localId?: string;
  remoteId?: string;
  /** Pre-shared key; without it certificates. */
  key?: string;
  /** Prefixes behind the site, and behind the gateway. */
  local: readonly string[];
  remote: readonly string[];
  /** The site begins, and begins again when the tunnel ends; else it waits. */
  begins?: boolean;
  /** swanctl's words, `aes256gcm16-prfsha384-ecp384`. */
  proposals?: string;
  espProposals?: string;
  /** Seconds. */
  rekeySeconds?: number;
  childRekeySeconds?: number;
  dpdSeconds?: number;
  mobike?: boolean;
}

/** What a site shows and asks for when it has a certificate; files in PEM. */
export interface SiteCredentials {
  certificate: string;
  privateKey: string;
  authority: string;
}

/** Names of the files that swanctl reads, in the folders that it reads them from. */
export function credentialFiles({ certificate, privateKey, authority }: SiteCredentials) {
  return { 'x509/site.pem': certificate, 'private/site.pem': privateKey, 'x509ca/ca.pem': authority };
}

export function daemonConfig(socket: string, isKernelEsp: boolean): string {
  const engine = isKernelEsp ? [] : ['kernel-libipsec'];
  return text({
    'charon-systemd': {
      load: [
        ...['random', 'nonce', 'pem', 'pkcs1', 'pkcs8', 'pubkey', 'x509', 'revocation', 'constraints'],
        ...[
          'aesni',
          'openssl',
          'hmac',
          'kdf',
          'gcm',
          'curve25519',
          ...engine,
          'kernel-netlink',
          'socket-default',
          'vici',
          'updown',
        ],
      ].join(' '),
      plugins: { vici: { socket: `unix://${socket}` } },
      // A peer that came back is noticed soon.
      ...{ retransmit_timeout: 1, retransmit_base: 1.4, retransmit_tries: 4 },
      filelog: { stderr: { default: 1, flush_line: 'yes' } },
    },
  });
}

export function tunnelConfig(tunnels: readonly SiteTunnel[], hasCertificate: boolean): string {
  const connections = tunnels.map((tunnel) => [tunnel.name, connectionOf(tunnel, hasCertificate)] as const);
  const secrets = tunnels.flatMap(({ name, key, remoteAddress, remoteId }) => {
    if (key === undefined) return [];
    const owner = remoteId ?? (remoteAddress === '%any' ? undefined : remoteAddress);
    return [[`ike-${name}`, { secret: JSON.stringify(key), ...(owner && { id: owner }) }] as const];
  });
  return text({ connections: Object.fromEntries(connections), secrets: Object.fromEntries(secrets) });
}

function connectionOf(tunnel: SiteTunnel, hasCertificate: boolean): Sections {
  const auth = tunnel.key === undefined ? 'pubkey' : 'psk';
  return {
    version: 2,
    local_addrs: tunnel.localAddress,
    remote_addrs: tunnel.remoteAddress,
    proposals: tunnel.proposals,
    mobike: tunnel.mobike ? 'yes' : 'no',
    rekey_time: tunnel.rekeySeconds,
    dpd_delay: tunnel.dpdSeconds,
    keyingtries: tunnel.begins ? 0 : undefined,
    local: { auth, id: tunnel.localId, certs: auth === 'pubkey' && hasCertificate ? 'site.pem' : undefined },
    remote: { auth, id: tunnel.remoteId },
    children: {
      [tunnel.name]: {
        local_ts: tunnel.local.join(),
        remote_ts: tunnel.remote.join(),
        esp_proposals: tunnel.espProposals,
        rekey_time: tunnel.childRekeySeconds,
        ...(tunnel.begins ? { start_action: 'start', close_action: 'start', dpd_action: 'start' } : {}),
      },
    },
  };
}

/** The text of sections: a line for each value, which goes to the line's end. */
function text(sections: Sections, indent = ''): string {
  const lines = Object.entries(sections).map(([key, value]) => {
    if (value === undefined) return '';
    return typeof value === 'object' && !Array.isArray(value)
      ? `${indent}${key} {\n${text(value as Sections, `${indent}  `)}${indent}}\n`
      : `${indent}${key} = ${String(value)}\n`;
  });
  return lines.join('');
}
