/**
 * What this process asks of one charon, over two VICI connections: one for commands, whose answers come in order, and one
 * for events.
 */
import type { SiteIkeSa } from '../api/operations.ts';
import { HnvError } from '../errors.ts';
import type { ConnectionMessages } from './connection-messages.ts';
import { readIkeSas } from './sa-reading.ts';
import type { Carried } from './site-paths.ts';
import { ViciClient } from './vici-client.ts';
import type { ViciMessage } from './vici-message.ts';

/** Answer at once, and do the work behind. */
const AT_ONCE = -1;
/** How long a peer is given to confirm that an SA ends, milliseconds. */
const FAREWELL_MS = 1000;
/** States of an ESP SA in which packets pass. */
const PASSING: ReadonlySet<string> = new Set(['INSTALLED', 'UPDATING', 'REKEYING', 'REKEYED']);

export interface SessionListener {
  /** SAs have come, gone or been made anew. */
  changed(): void;
  said(line: ViciMessage): void;
}

/** What of a connection is up. */
export interface UpConnection extends Carried {
  /** Address of the peer. */
  peer: string;
}

export class CharonSession {
  readonly #commands: ViciClient;
  readonly #events: ViciClient;
  /** When either connection has ended: charon has, or close() was called. */
  readonly closed: Promise<unknown>;

  private constructor(commands: ViciClient, events: ViciClient) {
    this.#commands = commands;
    this.#events = events;
    this.closed = Promise.race([commands.closed, events.closed]);
  }

  /** Throws HNV_SITE. */
  static async open(socket: string, listener: SessionListener): Promise<CharonSession> {
    const commands = await ViciClient.connect(socket);
    try {
      const events = await ViciClient.connect(socket);
      try {
        for (const name of ['ike-updown', 'child-updown', 'ike-rekey', 'child-rekey'])
          await events.subscribe(name, () => listener.changed());
        await events.subscribe('log', (line) => listener.said(line));
        return new CharonSession(commands, events);
      } catch (error) {
        events.close();
        throw error;
      }
    } catch (error) {
      commands.close();
      throw error;
    }
  }

  /** Charon goes on. */
  close(): void {
    this.#commands.close();
    this.#events.close();
  }

  /** Names of the connections that are loaded. */
  async connections(): Promise<string[]> {
    const { conns } = await this.#commands.command('get-conns');
    return Array.isArray(conns) ? conns : [];
  }

  /** What is loaded under the same name is replaced; SAs that there are stay. */
  async load({ connection, secrets, revocationLists }: ConnectionMessages): Promise<void> {
    for (const { command, message } of secrets) await this.#commands.command(command, message);
    for (const message of revocationLists) await this.#commands.command('load-cert', message);
    await this.#commands.command('load-conn', connection);
  }

  /** Ends the connection's SAs and forgets it, with its key. */
  async unload(name: string): Promise<void> {
    await this.#commands.command('unload-conn', { name });
    await this.terminate(name);
    await this.#unlessMissing('unload-shared', { id: name });
  }

  /** Ends the connection's SAs; a peer that does not confirm it is not waited for. */
  async terminate(name: string): Promise<void> {
    await this.#unlessMissing('terminate', { ike: name, force: true, timeout: FAREWELL_MS });
  }

  async initiate(name: string): Promise<void> {
    await this.#commands.command('initiate', { ike: name, child: name, timeout: AT_ONCE });
  }

  async rekey(name: string): Promise<void> {
    await this.#unlessMissing('rekey', { ike: name, child: name });
  }

  /** Ends the connection's ESP SAs and makes others, under the same IKE SA. */
  async remake(name: string): Promise<void> {
    await this.#unlessMissing('terminate', { ike: name, child: name, timeout: FAREWELL_MS });
    await this.initiate(name);
  }

  async ikeSas(name: string): Promise<SiteIkeSa[]> {
    return readIkeSas(await this.#commands.list('list-sas', 'list-sa', { ike: name }), name);
  }

  /** By name of the connection. */
  async up(): Promise<Map<string, UpConnection>> {
    const found = new Map<string, UpConnection>();
    for (const item of await this.#commands.list('list-sas', 'list-sa'))
      for (const [name, sa] of Object.entries(item)) {
        if (typeof sa !== 'object' || Array.isArray(sa)) continue;
        const up = upOf(sa);
        if (up === undefined) continue;
        const other = found.get(name);
        found.set(name, {
          ...up,
          prefixes: [...(other?.prefixes ?? []), ...up.prefixes],
          youngest: Math.max(other?.youngest ?? 0, up.youngest),
        });
      }
    return found;
  }

  /** Of what is not there, nothing need be taken away. */
  async #unlessMissing(command: string, message: Parameters<ViciClient['command']>[1]): Promise<void> {
    try {
      await this.#commands.command(command, message);
    } catch (error) {
      if (!(error instanceof HnvError) || this.#commands.isClosed) throw error;
    }
  }
}

function upOf(sa: ViciMessage): UpConnection | undefined {
  const children = Object.values((sa['child-sas'] ?? {}) as ViciMessage)
    .map((child) => child as ViciMessage)
    .filter(({ state }) => PASSING.has(String(state)));
  if (children.length === 0) return undefined;
  return {
    peer: String(sa['remote-host'] ?? ''),
    prefixes: children.flatMap((child) => (child['remote-ts'] ?? []) as string[]),
    youngest: Math.max(...children.map(({ uniqueid }) => Number(uniqueid))),
  };
}
