/**
 * A site connection as strongSwan is told it over VICI: load-conn, load-shared, load-key and load-cert (swanctl.conf(5) has
 * the meaning of each key). What is not said here is strongSwan's default.
 */
import { createHash } from 'node:crypto';
import { readCertificates, readRevocationLists } from '../policy/pem.ts';
import type { SiteConnectionPlan } from '../policy/plan.ts';
import type { IpsecEngine } from './engine.ts';
import { espProposals, ikeProposals } from './proposals.ts';
import type { ViciInput } from './vici-message.ts';

export interface ConnectionMessages {
  /** For load-conn: one section, named as the connection, with one child of the same name. */
  connection: ViciInput;
  /** What keeps strongSwan from knowing it again by any other way than these messages. */
  secrets: { command: 'load-shared' | 'load-key'; message: ViciInput }[];
  /** For load-cert. strongSwan keeps the newest of each authority. */
  revocationLists: ViciInput[];
}

/** Seconds without an answer-worthy packet of the peer after which it is asked whether it is still there. */
const DPD_SECONDS = 5;
/** Of the life of a key, when the next one is made: between these parts of it, so that both ends do not begin at once. */
const REKEY_PART = 0.9;
const REKEY_SPREAD = 0.1;
/** Behind the life of a key, for the next one to be made when the peer is slow to answer: packets need not wait for it. */
const GRACE_SECONDS = 30;
/** Bytes that may at least pass while the next key is made: a second of 1 Gbit/s. */
const REKEY_ROOM_BYTES = 128 * 1024 * 1024;
/** Interface id of the xfrm interface that all tunnels of a context are behind. */
const TUNNEL_IF_ID = 1;

/**
 * `reqid` is that of its SAs and policies (reqid.ts).
 * strongSwan begins with the first address of its list only, and accepts the peer from each: `destination` is the place, in
 * `plan.destinations`, of the address to begin with.
 */
export function connectionMessages(
  plan: SiteConnectionPlan,
  engine: IpsecEngine,
  reqid: number,
  destination = 0,
): ConnectionMessages {
  return {
    connection: {
      [plan.name]: {
        version: 2,
        local_addrs: [plan.localAddress],
        remote_addrs: remoteAddresses(plan, destination),
        local: localSide(plan),
        remote: remoteSide(plan, destination),
        proposals: ikeProposals(plan.mainMode),
        ...ikeLife(plan.mainMode.saLifeTimeSeconds),
        mobike: plan.mobike,
        fragmentation: true,
        send_cert: 'always',
        dpd_delay: DPD_SECONDS,
        // No end of trying: strongSwan goes on without this process.
        keyingtries: plan.initiate === 'start' ? 0 : 1,
        // A second SA with a peer stays (both ends may begin at a time), but one that says that it has begun anew has no others.
        unique: 'no',
        children: { [plan.name]: child(plan, engine, reqid) },
      },
    },
    secrets: secrets(plan),
    revocationLists: revocationLists(plan).map((data) => ({ type: 'X509_CRL', data })),
  };
}

/** Equal for two plans whose load-conn messages are equal. No secret goes into it, nor do revocation lists, of which newer ones need no other connection. */
export function configurationDigest(plan: SiteConnectionPlan): string {
  const { connection } = connectionMessages(plan, 'kernel', 0);
  return createHash('sha256').update(JSON.stringify(connection)).digest('base64url');
}

function remoteAddresses({ destinations }: SiteConnectionPlan, first: number): string[] {
  if (destinations.length === 0) return ['%any'];
  return [...destinations.slice(first), ...destinations.slice(0, first)];
}

function localSide({ authentication }: SiteConnectionPlan): ViciInput {
  const { method, localId, certificate } = authentication;
  if (method === 'psk') return { auth: 'psk', id: localId };
  return { auth: 'pubkey', id: localId, certs: derOf(certificate) };
}

function remoteSide(plan: SiteConnectionPlan, destination: number): ViciInput {
  const { method, remoteId, certificateAuthorities } = plan.authentication;
  if (method === 'psk') return { auth: 'psk', id: remoteId ?? plan.destinations[destination] };
  return {
    auth: 'pubkey',
    id: remoteId,
    cacerts: derOf(certificateAuthorities),
    revocation: revocationLists(plan).length > 0 ? 'strict' : undefined,
  };
}

function derOf(certificates = ''): Uint8Array[] {
  return readCertificates(certificates)?.map(({ raw }) => raw) ?? [];
}

function revocationLists({ authentication }: SiteConnectionPlan): Uint8Array[] {
  return readRevocationLists(authentication.revocationLists ?? '') ?? [];
}

/**
 * A shared key is the site's alone: strongSwan takes a key when either identity is an owner, so with ours among them the key
 * of one site would do for another.
 */
function secrets({ name, destinations, authentication }: SiteConnectionPlan): ConnectionMessages['secrets'] {
  const { preSharedKey, privateKey, remoteId } = authentication;
  const loaded: ConnectionMessages['secrets'] = [];
  if (preSharedKey !== undefined) {
    const owners = remoteId === undefined ? destinations : [remoteId];
    const message = { id: name, type: 'IKE', data: Buffer.from(preSharedKey), owners };
    loaded.push({ command: 'load-shared', message });
  }
  if (privateKey !== undefined)
    loaded.push({ command: 'load-key', message: { type: 'any', data: Buffer.from(privateKey) } });
  return loaded;
}

function child(plan: SiteConnectionPlan, engine: IpsecEngine, reqid: number): ViciInput {
  const { saLifeTimeSeconds, saLifeTimeKiloBytes } = plan.quickMode;
  return {
    local_ts: plan.localPrefixes,
    remote_ts: plan.subnets.map(({ prefix }) => prefix),
    esp_proposals: espProposals(plan.quickMode),
    ...childLife(saLifeTimeSeconds),
    ...(saLifeTimeKiloBytes === undefined ? {} : childVolume(saLifeTimeKiloBytes * 1024)),
    mode: 'tunnel',
    ...actions(plan.initiate),
    inactivity: plan.idleDisconnectSeconds,
    reqid,
    // No `priority`: a fixed one would come before the length of the prefixes, of this connection and others.
    ...(engine === 'kernel' ? { if_id_in: TUNNEL_IF_ID, if_id_out: TUNNEL_IF_ID } : {}),
  };
}

/**
 * No `close_action`: a peer that ends one of two SAs, because it wants but one, would be given another one for it, without end.
 * Who has none left is begun with again by this project's own process.
 */
function actions(initiate: SiteConnectionPlan['initiate']): ViciInput {
  switch (initiate) {
    case 'start':
      return { start_action: 'start', dpd_action: 'start' };
    case 'onTraffic':
      return { start_action: 'trap' };
    case 'never':
      return {};
  }
}

/** `over_time` counts from the rekeying on, `rand_time` makes that earlier. */
function ikeLife(seconds: number): ViciInput {
  const rekey = Math.floor(seconds * REKEY_PART);
  return {
    rekey_time: rekey,
    over_time: seconds - rekey + GRACE_SECONDS,
    rand_time: Math.floor(seconds * REKEY_SPREAD),
  };
}

function childLife(seconds: number): ViciInput {
  return {
    rekey_time: Math.floor(seconds * REKEY_PART),
    life_time: seconds + GRACE_SECONDS,
    rand_time: Math.floor(seconds * REKEY_SPREAD),
  };
}

function childVolume(bytes: number): ViciInput {
  const rekey = Math.floor(bytes * REKEY_PART);
  return {
    rekey_bytes: rekey,
    life_bytes: Math.max(bytes, rekey + REKEY_ROOM_BYTES),
    rand_bytes: Math.floor(bytes * REKEY_SPREAD),
  };
}
