/**
 * Reads the policy document: every resource is checked against its schema, normalized, and named once. What comes out is in
 * an order in which each can be written to an empty store. The document is looked at part by part, so that the memory that
 * this takes does not grow with it.
 */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { compileSchema, fieldName } from '../config/schema-violation.ts';
import { HnvError } from '../errors.ts';
import type { DocumentEntry, Entry, ResourceKey } from '../store/store.ts';
import { canonicalAddress } from './address.ts';
import type { Outline } from './document-outline.ts';
import { refusalInDocument } from './document-refusal.ts';
import {
  type DocumentList,
  documentLists,
  documentSchema,
  domainParts,
  domainSchema,
  elementSchema,
  type ListedKind,
  nodeLists,
  openParts,
  singleSchema,
} from './document-schema.ts';
import { normalize } from './normalize.ts';
import { type ResourceKind, type ResourceTypes, type SingleKind, singleKinds } from './resources.ts';

type Json = Record<string, unknown>;

const checkDocument = checker(documentSchema(openParts));
const checkDomain = checker(domainSchema(openParts));
const checkElement = new Map<ListedKind, Check>(
  documentLists.map((list) => [list.kind, checker(elementSchema(list))]),
);
const checkSingle = new Map<SingleKind, Check>(
  singleKinds.map((kind) => [kind, checker(singleSchema(kind))]),
);

/**
 * The resources of the document, in the order of writing. Throws HNV_INVALID_FIELD, with the JSON pointer in the document,
 * at the first one that is wrong by itself or named twice.
 */
export function* documentEntries({ document, expand }: Outline): Generator<DocumentEntry> {
  const whole = checkDocument(document, '');
  const vsids = new Names();
  const place = { pointer: '', expand };
  for (const list of nodeLists.before) yield* listEntries(list, whole, place);
  const rdids = new Names();
  for (const [index, given] of ((whole.routingDomains ?? []) as unknown[]).entries()) {
    yield* domainEntries(expand(given), `/routingDomains/${index}`, rdids, vsids);
  }
  for (const list of nodeLists.after) yield* listEntries(list, whole, place);
}

function* domainEntries(
  given: unknown,
  pointer: string,
  rdids: Names,
  vsids: Names,
): Generator<DocumentEntry> {
  const domain = checkDomain(withLowerCaseRdid(given), pointer);
  const { rdid, name, description, labels } = domain as Json & { rdid: string };
  rdids.note(rdid, { kind: 'routingDomain', rdid }, `${pointer}/rdid`);
  const own = {
    name,
    ...(description === undefined ? {} : { description }),
    ...(labels === undefined ? {} : { labels }),
  };
  yield entryAt('routingDomain', { rdid }, own, pointer);
  const place = { pointer, rdid, vsids, expand: (value: unknown) => value };
  for (const part of domainParts) {
    if (typeof part !== 'string') yield* listEntries(part, domain, place);
    else if (domain[part] !== undefined) yield singleEntry(part, domain[part], pointer, rdid);
  }
}

/** Where lists stand. */
interface ListsPlace {
  readonly pointer: string;
  readonly rdid?: string;
  readonly vsids?: Names;
  readonly expand: Outline['expand'];
}

/** The elements of the list. VSIDs are unique in the whole document, all other names in their list. */
function* listEntries(
  { list, kind, naming }: DocumentList,
  parent: Json,
  { pointer: parentPointer, rdid, vsids, expand }: ListsPlace,
): Generator<DocumentEntry> {
  const names = (kind === 'virtualSubnet' ? vsids : undefined) ?? new Names();
  const check = checkElement.get(kind) as Check;
  for (const [index, given] of ((parent[list] ?? []) as unknown[]).entries()) {
    const pointer = `${parentPointer}/${list}/${index}`;
    const { [naming]: name, ...value } = check(expand(given), pointer);
    const id = kind === 'providerAddress' ? addressName(String(name), `${pointer}/${naming}`) : String(name);
    const place = rdid === undefined ? { id } : { rdid, id };
    names.note(id, { kind, ...place }, `${pointer}/${naming}`);
    yield entryAt(kind, place, value, pointer);
  }
}

function singleEntry(kind: SingleKind, given: unknown, parentPointer: string, rdid: string): DocumentEntry {
  const pointer = `${parentPointer}/${kind}`;
  return entryAt(kind, { rdid }, (checkSingle.get(kind) as Check)(given, pointer), pointer);
}

/** `value` is what the schema of its kind accepts. */
function entryAt<K extends ResourceKind>(
  kind: K,
  { rdid, id }: { rdid?: string; id?: string },
  value: Json,
  pointer: string,
): DocumentEntry {
  const key: ResourceKey<K> = {
    kind,
    ...(rdid === undefined ? {} : { rdid }),
    ...(id === undefined ? {} : { id }),
  };
  try {
    const normal = normalize(kind, value as ResourceTypes[ResourceKind] as ResourceTypes[K]);
    if ('type' in normal && normal.type === 'dynamic') throw learned();
    return { entry: { kind, rdid: rdid ?? '', id: id ?? '', value: normal } as Entry, pointer };
  } catch (error) {
    throw error instanceof HnvError ? refusalInDocument(key, pointer, error) : error;
  }
}

function learned(): HnvError {
  const why = 'type: dynamic is the type of records that nodes learn: a policy document has none of them.';
  return new HnvError('HNV_INVALID_FIELD', why, { pointer: '/type', rule: 'dynamic-learned' });
}

/** What a list, or the whole document, has named so far, and where. */
class Names {
  readonly #pointers = new Map<string, string>();

  note(name: string, key: ResourceKey, pointer: string): void {
    const other = this.#pointers.get(name);
    if (other !== undefined) {
      const why = `${pointer} names it again after ${other}, and a policy document names a resource once.`;
      throw refusalInDocument(key, pointer, new HnvError('HNV_INVALID_FIELD', why, { rule: 'named-once' }));
    }
    this.#pointers.set(name, pointer);
  }
}

/** As in paths, an RDID may be written in any case. */
function withLowerCaseRdid(domain: unknown): unknown {
  if (typeof domain !== 'object' || domain === null || !('rdid' in domain)) return domain;
  return typeof domain.rdid === 'string' ? { ...domain, rdid: domain.rdid.toLowerCase() } : domain;
}

function addressName(text: string, pointer: string): string {
  const address = canonicalAddress(text);
  if (address !== undefined) return address;
  const sentence = `${fieldName(pointer, '')} is "${text}", which is not an IP address.`;
  throw new HnvError('HNV_INVALID_FIELD', sentence, { pointer, rule: 'ip-address' });
}

/** Returns the value, which is what the schema says. Throws HNV_INVALID_FIELD when it is not. */
type Check = (value: unknown, pointer: string) => Json;

/** Defaults are left to `normalize`; how a value breaks the schema is worked out only when it does. */
function checker(schema: TSchema): Check {
  const validator = Compile(schema);
  const explain = compileSchema(schema);
  return (value, pointer) => {
    if (validator.Check(value)) return value as Json;
    const checked = explain(value);
    if ('value' in checked) throw new Error('a value breaks its schema, and does not');
    const { violation } = checked;
    const at = pointer + violation.pointer;
    throw new HnvError('HNV_INVALID_FIELD', `${fieldName(at, 'The document')} ${violation.reason}.`, {
      pointer: at,
      rule: violation.rule,
    });
  };
}
