/**
 * Which commands lead bgpd from the configuration that it has to the one that it should have. What is the same in both is not
 * touched, so that sessions go on. At no time in between may something pass that passes neither before nor after: lists are made
 * before the route maps that use them, those before peers, and they go in the other order.
 */

/** A line of a configuration with the headers of the blocks that it is in, outermost first. */
interface ConfigLine {
  blocks: readonly string[];
  text: string;
  /** All of it. */
  key: string;
}

/** Headers of blocks at the top, and in the block of a router. */
const HEADERS = [/^(router bgp|route-map) /, /^address-family /];
const LIST = /^(ip prefix-list|ipv6 prefix-list|bgp as-path access-list|bgp community-list) /;
/** What of the top is looked after here; the rest (name, log, service) is FRR's own. */
const OURS = [LIST, /^route-map /, /^router bgp /, /^bgp route-map delay-timer /];
/** Lists have permits alone: where in the list one stands means nothing. */
const SEQUENCE = /^(\S+ (?:prefix-list|as-path access-list|community-list \S+) \S+) seq \d+ /;
/** Of what there is one only, so that the new one takes the place of the old: the words in parentheses say which. */
const SINGLE = [
  /^(neighbor \S+ (?:remote-as|password|update-source|timers connect|timers|ebgp-multihop|bfd profile|maximum-prefix)) /,
  /^(neighbor \S+ route-map) \S+ (in|out)$/,
  /^(network \S+)(?= |$)/,
  /^(bgp (?:router-id|route-map delay-timer|graceful-restart restart-time|graceful-restart stalepath-time)) /,
  /^(maximum-paths(?: ibgp)?|coalesce-time) /,
  /^(match (?:ip address|ipv6 address|as-path|community)|set (?:as-path prepend|community|local-preference|metric)) /,
];

const lineOf = (blocks: readonly string[], text: string): ConfigLine => ({
  ...{ blocks, text },
  key: blocks.length === 0 ? text : `${blocks.join('\n')}\n${text}`,
});

/** Of the text that `show running-config` answers, or the lines of bgpConfig(). */
export function readConfig(lines: readonly string[]): ConfigLine[] {
  const found: ConfigLine[] = [];
  let blocks: string[] = [];
  for (const line of lines) {
    const isTop = !line.startsWith(' ');
    const text = isTop ? line.trim().replace(SEQUENCE, '$1 ') : line.trim();
    if (text === '' || text.startsWith('!') || text === 'end') continue;
    if (text === 'exit' || text === 'exit-address-family') {
      blocks = blocks.slice(0, -1);
      continue;
    }
    // Not every block is closed by a line of its own.
    const depth = HEADERS.findIndex((header) => header.test(text));
    if (depth >= 0) blocks = blocks.slice(0, depth);
    else if (isTop && blocks.length > 0) blocks = [];
    // No block of another is entered.
    if (blocks.length === 0 && !OURS.some((ours) => ours.test(text))) continue;
    // An address family is there when something is in it.
    if (depth !== 1) found.push(lineOf(blocks, text));
    if (depth >= 0) blocks = [...blocks, text];
  }
  return found;
}

/** The commands, in configuration mode, in their order; none when it is as wanted. */
export function configChanges(have: readonly string[], want: readonly string[]): string[] {
  const [old, wanted] = [readConfig(have), readConfig(want)];
  const [oldKeys, wantedKeys] = [keysOf(old), keysOf(wanted)];
  const added = wanted.filter((line) => !oldKeys.has(line.key));
  const replaced = new Set(added.map(singleOf).filter((single) => single !== undefined));
  const removed = withoutCovered(
    old.filter((line) => !wantedKeys.has(line.key) && !replaced.has(singleOf(line) ?? '')),
  ).map(({ blocks, text }) => lineOf(blocks, undo(text)));
  // There is one router: that of another AS goes first.
  const isRouter = ({ text }: ConfigLine): boolean => text.startsWith('no router ');
  // An entry of a map that goes on makes room for the new one; a map that goes is in use until the router has changed.
  const wantedMaps = new Set(wanted.map(mapOf));
  const [changed, unused] = [true, false].map((goesOn) =>
    removed.filter((line) => isIn('map')(line) && wantedMaps.has(mapOf(line)) === goesOn),
  );
  return script([
    ...removed.filter(isRouter),
    ...added.filter(isIn('list')),
    ...(changed ?? []),
    ...added.filter(isIn('map')),
    ...added.filter(isIn('router')).toSorted((a, b) => rank(a) - rank(b)),
    ...removed.filter((line) => isIn('router')(line) && !isRouter(line)),
    ...(unused ?? []),
    ...removed.filter(isIn('list')),
  ]);
}

const isIn =
  (part: 'list' | 'map' | 'router') =>
  ({ blocks, text }: ConfigLine): boolean => {
    const top = (blocks[0] ?? text).replace(/^no /, '');
    return (LIST.test(top) ? 'list' : top.startsWith('route-map ') ? 'map' : 'router') === part;
  };

/** Name of the route map that it is in; undefined when it is in none. */
const mapOf = ({ blocks, text }: ConfigLine): string | undefined =>
  /^(?:no )?route-map (\S+)/.exec(blocks[0] ?? text)?.[1];

const keysOf = (lines: readonly ConfigLine[]): Set<string> => new Set(lines.map(({ key }) => key));
const isHeader = (text: string): boolean => HEADERS.some((header) => header.test(text));

/** Undefined when there may be several of it. */
function singleOf({ blocks, text }: ConfigLine): string | undefined {
  const words = SINGLE.map((pattern) => pattern.exec(text)).find((match) => match !== null);
  return words && lineOf(blocks, words.slice(1).join(' ')).key;
}

/**
 * What is for all peers goes first; then new peers: one that FRR refuses is refused before others have changed. Last is what makes
 * bgpd connect at once, whatever else of the peer there is by then.
 */
function rank({ blocks, text }: ConfigLine): number {
  if (/^neighbor \S+ remote-as /.test(text)) return 1;
  if (/^neighbor \S+ timers connect /.test(text)) return 3;
  return blocks.length > 1 || text.startsWith('neighbor ') ? 2 : 0;
}

/** What a line that is gone takes along needs no command: what is in its block, and what undoing a shorter one undoes. */
function withoutCovered(gone: readonly ConfigLine[]): ConfigLine[] {
  const headers = keysOf(gone.filter(({ text }) => isHeader(text)));
  const undone = new Set(gone.map(({ text }) => undo(text)));
  return gone.filter(({ blocks, text }) => {
    const words = undo(text).split(' ');
    return (
      !blocks.some((_, index) => headers.has(blocks.slice(0, index + 1).join('\n'))) &&
      !words.some((_, index) => undone.has(words.slice(0, index).join(' ')))
    );
  });
}

/** Secrets need not be said to be taken away. */
function undo(text: string): string {
  if (text.startsWith('no ')) return text.slice('no '.length);
  const [, peer, what] = /^neighbor (\S+) (remote-as|password|bfd$)/.exec(text) ?? [];
  if (peer === undefined) return `no ${text}`;
  return what === 'remote-as' ? `no neighbor ${peer}` : `no neighbor ${peer} ${what}`;
}

/** With the commands that enter blocks. Who is in one may say what belongs to the top. */
function script(lines: readonly ConfigLine[]): string[] {
  const commands: string[] = [];
  let at: readonly string[] = [];
  for (const { blocks, text } of lines) {
    const wanted = isHeader(text) ? [...blocks, text] : blocks;
    if (wanted.join('\n') !== at.join('\n'))
      commands.push(...(wanted[0] === at[0] && at.length > 1 ? ['exit', ...wanted.slice(1)] : wanted));
    if (!isHeader(text)) commands.push(text);
    at = wanted;
  }
  return commands;
}
