/**
 * nftables transactions and listings in libnftables' JSON (libnftables-json(5)), in the network namespace that the
 * calling thread is in. Everything is synchronous, so that it can be used inside inNetns().
 */
import koffi from 'koffi';
import { HnvError } from '../errors.ts';
import { errnoText } from './libbpf.ts';
import { attributes, NETLINK_NETFILTER, Netlink } from './netlink.ts';

/** Address family of a table, as nftables names it. */
export type NftFamily = 'ip' | 'ip6' | 'inet' | 'arp' | 'bridge' | 'netdev';

/** A command of a transaction: `{ add: { table: … } }`, `{ flush: { set: … } }`. */
export type NftCommand = object;

/** One entry of a listing: `{ table: … }`, `{ chain: … }`, `{ rule: … }`, `{ set: … }`, `{ map: … }`. */
export type NftObject = object;

function loadLibnftables(): ReturnType<typeof koffi.load> {
  try {
    return koffi.load('libnftables.so.1');
  } catch (cause) {
    throw new HnvError('HNV_NFTABLES', 'libnftables.so.1 cannot be loaded; install libnftables1.', { cause });
  }
}

const library = loadLibnftables();
type Context = bigint;
function bind<F>(prototype: string): F {
  return library.func(prototype) as unknown as F;
}
const nft_ctx_new = bind<(flags: number) => Context | null>('void *nft_ctx_new(uint32_t flags)');
const nft_ctx_free = bind<(context: Context) => void>('void nft_ctx_free(void *ctx)');
const nft_ctx_output_set_flags = bind<(context: Context, flags: number) => void>(
  'void nft_ctx_output_set_flags(void *ctx, unsigned int flags)',
);
const nft_ctx_buffer_output = bind<(context: Context) => number>('int nft_ctx_buffer_output(void *ctx)');
const nft_ctx_buffer_error = bind<(context: Context) => number>('int nft_ctx_buffer_error(void *ctx)');
const nft_ctx_get_output_buffer = bind<(context: Context) => string>(
  'const char *nft_ctx_get_output_buffer(void *ctx)',
);
const nft_ctx_get_error_buffer = bind<(context: Context) => string>(
  'const char *nft_ctx_get_error_buffer(void *ctx)',
);
const nft_ctx_set_dry_run = bind<(context: Context, dry: boolean) => void>(
  'void nft_ctx_set_dry_run(void *ctx, bool dry)',
);
const nft_run_cmd_from_buffer = bind<(context: Context, commands: string) => number>(
  'int nft_run_cmd_from_buffer(void *ctx, const char *buf)',
);

/** NFT_CTX_OUTPUT_JSON; in libnftables 1.0.6 it makes the input JSON too. */
const OUTPUT_JSON = 1 << 4;
/** NFNL_SUBSYS_NFTABLES and NFT_MSG_GETGEN. */
const GET_GENERATION = (10 << 8) | 16;
const NFTA_GEN_ID = 1;
/** struct nfgenmsg: family, version, resource. */
const GENERATION_BODY = new Uint8Array(4);
/** Repetitions of a transaction that was interrupted; more would mean that it is no matter of chance. */
const INTERRUPTIONS = 20;

/** All commands in one transaction: all take effect at once, or none and HNV_NFTABLES. */
export function nft(commands: readonly NftCommand[]): void {
  if (commands.length > 0) runJson(commands);
}

/** As nft(), but the kernel only checks the commands and changes nothing. */
export function nftCheck(commands: readonly NftCommand[]): void {
  if (commands.length > 0) runJson(commands, { check: true });
}

/** A whole script in nft's own language (nft(8)) as one transaction; as nft(). */
export function nftScript(script: string): void {
  run(script, { json: false, check: false });
}

/** Everything in a table, the table itself first; undefined when there is no such table. */
export function nftList(what: { family: string; table: string }): NftObject[] | undefined {
  const { family, table } = what;
  try {
    return list({ table: { family, name: table } });
  } catch (error) {
    // The message for a missing table is for people; the list of tables is certain.
    const isThere = list({ tables: { family } }).some(
      (object) => (object as { table?: { name: string } }).table?.name === table,
    );
    if (isThere) throw error;
    return undefined;
  }
}

/**
 * A number that every transaction in the current namespace changes, whoever makes it: while it stays, all rules do. A matter
 * of microseconds, where a listing is one of milliseconds.
 */
export function nftGeneration(): number {
  const netlink = new Netlink(NETLINK_NETFILTER);
  let generation: number | undefined;
  try {
    const errno = netlink.ask(GET_GENERATION, GENERATION_BODY, (_type, data, at, end) => {
      attributes(data, at + GENERATION_BODY.length, end, (type, from) => {
        if (type === NFTA_GEN_ID) generation = data.readUInt32BE(from);
      });
    });
    if (generation === undefined)
      throw new HnvError('HNV_NFTABLES', `The generation of the rules cannot be read: ${errnoText(errno)}`);
    return generation;
  } finally {
    netlink.close();
  }
}

function list(what: object): NftObject[] {
  const answer = JSON.parse(runJson([{ list: what }])) as { nftables: NftObject[] };
  return answer.nftables.filter((object) => !('metainfo' in object));
}

function runJson(commands: readonly NftCommand[], { check } = { check: false }): string {
  return run(JSON.stringify({ nftables: commands }), { json: true, check });
}

/** The kernel gives a transaction up as a whole when a signal comes, such as that of a child's end: then it is repeated. */
function run(input: string, mode: { json: boolean; check: boolean }): string {
  for (let left = INTERRUPTIONS; ; left--) {
    try {
      return runOnce(input, mode);
    } catch (error) {
      if (left === 0 || !(error instanceof HnvError) || !error.message.includes('Interrupted system call'))
        throw error;
    }
  }
}

/** A context belongs to the namespace that it was made in, so each run has its own. */
function runOnce(input: string, mode: { json: boolean; check: boolean }): string {
  const context = nft_ctx_new(0);
  if (context === null) throw new HnvError('HNV_NFTABLES', 'libnftables cannot be initialized.');
  try {
    nft_ctx_output_set_flags(context, mode.json ? OUTPUT_JSON : 0);
    nft_ctx_set_dry_run(context, mode.check);
    nft_ctx_buffer_output(context);
    nft_ctx_buffer_error(context);
    if (nft_run_cmd_from_buffer(context, input) !== 0) {
      const reason = explain(nft_ctx_get_error_buffer(context));
      throw new HnvError('HNV_NFTABLES', `The nftables transaction was refused: ${reason}`);
    }
    return nft_ctx_get_output_buffer(context);
  } finally {
    nft_ctx_free(context);
  }
}

/**
 * The messages alone. libnftables prints a position and a line of the input with each, but of a buffer that is always
 * the first line, whichever is wrong.
 */
function explain(output: string): string {
  const messages = [...output.matchAll(/^(?:internal:\S* )?Error: (.*)$/gm)].map((match) => match[1] ?? '');
  return messages.length > 0 ? messages.join('; ') : output.trim();
}
