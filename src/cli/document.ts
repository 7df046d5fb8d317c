/** A policy document that somebody wrote: a file or standard input, YAML or JSON, one document or several. */
import { readFile } from 'node:fs/promises';
import { text as readStream } from 'node:stream/consumers';
import { YamlSource } from '../config/yaml-source.ts';
import { HnvError } from '../errors.ts';
import { ApiProblem } from './failures.ts';

export interface PolicyInput {
  /** All documents as one, as it is sent. */
  readonly document: unknown;
  /** The problem with the file and the line of what it is about; anything else as it is. */
  readonly located: (error: unknown) => unknown;
}

/** Reads and parses; `-` is standard input. Throws HNV_INPUT with file and line. What the API checks is not checked here. */
export async function readPolicyInput(file: string): Promise<PolicyInput> {
  const name = file === '-' ? 'stdin' : file;
  const text = await readText(file);
  const json = parsedJson(text);
  if (json !== undefined) {
    // YAML's parser takes long for a large document, and is needed only to find a line.
    return { document: json, located: locator(name, (pointer) => new YamlSource(text).lineOf(pointer)) };
  }
  const source = new YamlSource(text);
  if (source.mistake !== undefined)
    throw refusal(name, source.mistake.line, `${withoutQuotes(source.mistake.reason)}.`);
  const { document, origin } = joined(name, source);
  return {
    document,
    located: locator(name, (pointer) => {
      const { pointer: own, index } = origin(pointer);
      return source.lineOf(own, index);
    }),
  };
}

/** Standard input as a stream: a pipe need not block its reader, and a read by its number would fail then. */
async function readText(file: string): Promise<string> {
  try {
    return file === '-' ? await readStream(process.stdin) : await readFile(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HnvError('HNV_INPUT', `The file cannot be read: ${reason}.`, { cause: error });
  }
}

/** Undefined for what is no JSON object, and may be YAML. */
function parsedJson(text: string): object | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface Joined {
  document: unknown;
  /** Where the pointer into the whole leads in the file. */
  origin: (pointer: string) => { pointer: string; index: number };
}

/** The documents as one: lists of the same name one after the other. */
function joined(name: string, source: YamlSource): Joined {
  const documents = Array.from({ length: source.count }, (_, index) => ({
    index,
    value: documentValue(name, source, index),
  })).filter(({ value }) => value !== null);
  const [first] = documents;
  if (first === undefined)
    throw refusal(name, 1, 'There is nothing in it, but a policy document must be there (hnvgw help apply).');
  if (documents.length === 1)
    return { document: first.value, origin: (pointer) => ({ pointer, index: first.index }) };

  const whole: Record<string, unknown[]> = {};
  const origins = new Map<string, { pointer: string; index: number }>();
  for (const { index, value } of documents) {
    if (typeof value !== 'object' || Array.isArray(value))
      throw refusal(
        name,
        source.lineOf('', index),
        'A policy document must have lists such as routingDomains.',
      );
    for (const [key, list] of Object.entries(value as object)) {
      const pointer = `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      if (!Array.isArray(list)) throw refusal(name, source.lineOf(pointer, index), `${key} must be a list.`);
      whole[key] ??= [];
      const all = whole[key];
      if (!origins.has(pointer)) origins.set(pointer, { pointer, index });
      for (const [at, item] of list.entries()) {
        origins.set(`${pointer}/${all.length}`, { pointer: `${pointer}/${at}`, index });
        all.push(item);
      }
    }
  }
  return {
    document: whole,
    origin: (pointer) => {
      const [, key = '', item = '', rest = ''] = /^(\/[^/]*)(\/[0-9]+)?(.*)$/.exec(pointer) ?? [];
      const found = origins.get(key + item) ?? origins.get(key) ?? { pointer: '', index: first.index };
      return { pointer: found.pointer + rest, index: found.index };
    },
  };
}

function documentValue(name: string, source: YamlSource, index: number): unknown {
  try {
    return source.value(index);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw refusal(name, source.lineOf('', index), `${withoutQuotes(reason)}.`);
  }
}

/** What is no YAML may be a secret that was to be quoted: the parser shows it behind a colon. */
function withoutQuotes(reason: string): string {
  return reason.replace(/:.*$/s, '');
}

function refusal(name: string, line: number, reason: string): HnvError {
  return new HnvError('HNV_INPUT', `${name}:${line}: ${reason}`);
}

function locator(name: string, lineOf: (pointer: string) => number): (error: unknown) => unknown {
  return (error) => {
    if (!(error instanceof ApiProblem) || error.problem.pointer === undefined) return error;
    return new ApiProblem(error.problem, `${name}:${lineOf(error.problem.pointer)}: ${error.message}`);
  };
}
