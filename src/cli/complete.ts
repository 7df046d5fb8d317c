/** What a word of a command line can become: commands, options, resources, and what the node has. */
import { Api } from './api.ts';
import { helpOption } from './arguments.ts';
import type { Command, Completion, Flag, ValueOption } from './command.ts';
import { commandNames, findCommand, isFamily, loadCommand, policyTopic } from './commands.ts';
import { type Domain, resolveDomain } from './domain.ts';
import { findResource, type Item, pathOf, resources } from './resources.ts';
import type { ConnectionValues } from './server.ts';
import { shellWords } from './shell-words.ts';

export interface Candidates {
  /** `files`: the shell completes file names by itself. */
  readonly kind: 'words' | 'files';
  /** As the shell takes them, quoted where needed. */
  readonly words: readonly string[];
}

/** Nobody waits longer for a completion. */
const SILENCE_MS = 1000;
/** Of a list with more the first ones are offered. */
const MOST = 1000;

/** The candidates for the end of the line, which begins with the program's name. */
export async function completionOf(line: string): Promise<Candidates> {
  const { words, current, isQuoted } = shellWords(line);
  const [, ...before] = words;
  const found = findCommand(before);
  if (found === undefined) return firstWords(before, current);
  const rest = new Rest(await loadCommand(found.name), found.rest);
  const [, flag = '', begun] = /^(--[^=]+=)(.*)$/s.exec(current) ?? [];
  const start = begun ?? current;
  const what = begun === undefined ? rest.wanted(current) : rest.valueOf(flag.slice(2, -1));
  if (what === 'file') return { kind: 'files', words: [] };
  const all = typeof what === 'string' ? await offered(what, rest) : what;
  const fitting = [...new Set(all)].filter((word) => word.startsWith(start));
  return { kind: 'words', words: fitting.flatMap((word) => quoted(flag + word, isQuoted)) };
}

function firstWords(before: readonly string[], current: string): Candidates {
  const [first] = before;
  const names: string[] =
    first === undefined
      ? current.startsWith('-')
        ? ['--help', '--version']
        : commandNames.map((name) => name.split(' ')[0] ?? '')
      : before.length === 1 && isFamily(first)
        ? commandNames.filter((name) => name.startsWith(`${first} `)).map((name) => name.split(' ')[1] ?? '')
        : [];
  const fitting = [...new Set(names)].filter((name) => name.startsWith(current));
  return { kind: 'words', words: fitting };
}

/** The words between the command's name and the one that is completed. */
class Rest {
  readonly positionals: string[] = [];
  readonly options = new Map<string, string>();
  readonly #command: Command;
  readonly #known: Readonly<Record<string, Flag | ValueOption>>;
  /** The option that the next word is the value of. */
  #open: string | undefined;

  constructor(command: Command, words: readonly string[]) {
    this.#command = command;
    this.#known = { ...command.options, help: helpOption };
    for (const word of words) this.#take(word);
  }

  /** What the word that is completed can be. */
  wanted(current: string): readonly string[] | Completion {
    if (this.#open !== undefined) return this.valueOf(this.#open);
    if (current.startsWith('-')) {
      return Object.entries(this.#known)
        .filter(([name, option]) => !this.options.has(name) || (option.type === 'string' && option.multiple))
        .map(([name]) => `--${name}`);
    }
    const argument = Object.values(this.#command.arguments)[this.positionals.length];
    return argument?.choices ?? argument?.complete ?? [];
  }

  valueOf(name: string): readonly string[] | Completion {
    const option = this.#known[name];
    return option?.type === 'string' ? (option.choices ?? option.complete ?? []) : [];
  }

  #take(word: string): void {
    if (this.#open !== undefined) {
      this.options.set(this.#open, word);
      this.#open = undefined;
      return;
    }
    if (!word.startsWith('-') || word === '-') {
      this.positionals.push(word);
      return;
    }
    const [flag = '', value] = word.split(/=(.*)/s);
    const name = flag.startsWith('--')
      ? flag.slice(2)
      : Object.entries(this.#known).find(([, { short }]) => `-${short}` === flag)?.[0];
    if (name === undefined) return;
    this.options.set(name, value ?? '');
    if (value === undefined && this.#known[name]?.type === 'string') this.#open = name;
  }
}

async function offered(what: Completion, rest: Rest): Promise<readonly string[]> {
  if (what === 'command') return [...commandNames.map((name) => name.split(' ')[0] ?? ''), policyTopic];
  if (what === 'resource') return resources.map(({ name }) => name);
  try {
    return await known(what, rest);
  } catch {
    return []; // The shell's line is no place for a message.
  }
}

/** Those that say by themselves what they are one of. */
const resourceOf: Partial<Record<Completion, string>> = { token: 'tokens', connection: 'site-connections' };

/** What the node has. */
async function known(what: Completion, rest: Rest): Promise<readonly string[]> {
  const api = await Api.open(connectionOf(rest));
  const list = async <T>(path: string): Promise<readonly T[]> => {
    const request = { query: { limit: MOST }, silenceMs: SILENCE_MS };
    return (await api.json<{ items: T[] }>('GET', path, request)).items;
  };
  const domains = async () =>
    (await list<Domain>('/v1/routing-domains')).flatMap(({ name, rdid }) => [name, rdid]);
  try {
    if (what === 'domain') return await domains();
    const word = resourceOf[what] ?? rest.positionals[0] ?? '';
    const resource = findResource(word, '');
    const { id } = resource;
    if (id === undefined) return [];
    if (id === 'rdid') return await domains();
    const domain = rest.options.get('domain');
    if (resource.of === 'domain' && domain === undefined) return [];
    const rdid = domain === undefined ? undefined : await resolveDomain(api, domain);
    return (await list<Item>(pathOf(resource, rdid))).map((item) => String(item[id]));
  } finally {
    api.close();
  }
}

function connectionOf({ options }: Rest): ConnectionValues {
  const given = (name: string) => options.get(name) || undefined;
  return { server: given('server'), 'token-file': given('token-file'), 'ca-file': given('ca-file') };
}

/**
 * The word as it may stand in a command line. Names come from tenants: what is more than letters, digits and blanks is not
 * offered, so that no name can become a command.
 */
function quoted(word: string, isQuoted: boolean): string[] {
  if (/^[\p{L}\p{N}._:=@/-]+$/u.test(word)) return [word];
  return !isQuoted && /^[\p{L}\p{N}._@/ -]+$/u.test(word) ? [word.replaceAll(' ', '\\ ')] : [];
}
