/**
 * Writes the policy document: the whole desired state, or what a tenant may see of it. It is as of one moment, however
 * long it takes to send: what there is is noted at once, and values are never changed, only replaced.
 */
import { type Principal, sees } from '../access/principal.ts';
import { type LookupRecord, type SingleKind, type SiteConnection, singleKinds } from '../policy/resources.ts';
import { withoutSecrets } from '../policy/secrets.ts';
import type { DesiredState, DomainState } from '../policy/state.ts';
import { Pace } from '../store/pace.ts';

/** Characters that are sent together. */
const PIECE = 64 * 1024;

/** Names with values, in the order of the map: cheaper to note than pairs are. */
interface Noted<K, V> {
  readonly names: K[];
  readonly values: V[];
}

interface NotedDomain extends Pick<DomainState, 'rdid' | 'domain' | SingleKind> {
  readonly virtualSubnets: Noted<number, object>;
  readonly lookupRecords: Noted<string, LookupRecord>;
  readonly customerRoutes: Noted<string, object>;
  readonly siteConnections: Noted<string, SiteConnection>;
}

/** The pieces of the document's text. Sorted by name; without the records that nodes learn. */
export function policyText(state: DesiredState, principal: Principal): AsyncGenerator<string> {
  const domains = [...state.domains.values()].filter(({ rdid }) => sees(principal, rdid)).map(noteDomain);
  domains.sort((a, b) => (a.rdid < b.rdid ? -1 : 1));
  if (principal.role === 'tenant') return pieces(tokens({ domains }));
  return pieces(
    tokens({
      domains,
      providerAddresses: note(state.providerAddresses),
      providerRoutes: note(state.providerRoutes),
      externalAddressPools: note(state.externalAddressPools),
      ports: note(state.ports),
    }),
  );
}

interface NotedPolicy {
  readonly domains: readonly NotedDomain[];
  readonly providerAddresses?: Noted<string, object>;
  readonly providerRoutes?: Noted<string, object>;
  readonly externalAddressPools?: Noted<string, object>;
  readonly ports?: Noted<string, object>;
}

/** Joins short texts to pieces, and gives the event loop away between them. */
async function* pieces(texts: Iterable<string>): AsyncGenerator<string> {
  const pace = new Pace();
  let piece = '';
  for (const text of texts) {
    piece += text;
    if (piece.length >= PIECE) {
      yield piece;
      piece = '';
    }
    if (pace.isOver) await pace.rest();
  }
  yield piece;
}

function* tokens({ domains, ports, ...before }: NotedPolicy): Generator<string> {
  const { providerAddresses, providerRoutes, externalAddressPools } = before;
  yield '{';
  if (providerAddresses !== undefined) yield* list('providerAddresses', 'address', providerAddresses);
  if (providerRoutes !== undefined) yield* list('providerRoutes', 'id', providerRoutes);
  if (externalAddressPools !== undefined) yield* list('externalAddressPools', 'name', externalAddressPools);
  yield '"routingDomains":[';
  for (const [index, domain] of domains.entries()) {
    if (index > 0) yield ',';
    yield* domainTokens(domain);
  }
  yield ']';
  if (ports !== undefined) {
    yield ',';
    yield* list('ports', 'interface', ports, '');
  }
  yield '}';
}

function* domainTokens(noted: NotedDomain): Generator<string> {
  yield `${JSON.stringify({ rdid: noted.rdid, ...noted.domain }).slice(0, -1)},`;
  yield* list('virtualSubnets', 'vsid', noted.virtualSubnets);
  yield* list('lookupRecords', 'id', noted.lookupRecords, ',', ({ type }) => type !== 'dynamic');
  yield* list('customerRoutes', 'id', noted.customerRoutes, '');
  for (const kind of singleKinds) {
    const value = noted[kind];
    if (value !== undefined) yield `,"${kind}":${JSON.stringify(withoutSecrets(kind, value))}`;
  }
  yield ',';
  yield* list('siteConnections', 'name', shownConnections(noted.siteConnections), '');
  yield '}';
}

function shownConnections({ names, values }: Noted<string, SiteConnection>): Noted<string, SiteConnection> {
  return { names, values: values.map((value) => withoutSecrets('siteConnection', value)) };
}

function* list<K extends string | number, V extends object>(
  name: string,
  naming: string,
  { names, values }: Noted<K, V>,
  end = ',',
  belongs: (value: V) => boolean = () => true,
): Generator<string> {
  yield `"${name}":[`;
  let separator = '';
  for (const at of order(names)) {
    const value = values[at] as V;
    if (!belongs(value)) continue;
    yield separator + JSON.stringify({ [naming]: names[at], ...value });
    separator = ',';
  }
  yield `]${end}`;
}

/** Positions of the names in ascending order. */
function order(names: readonly (string | number)[]): number[] {
  const positions = names.map((_name, position) => position);
  return positions.sort((a, b) => ((names[a] as string) < (names[b] as string) ? -1 : 1));
}

function noteDomain(domain: DomainState): NotedDomain {
  return {
    ...domain,
    virtualSubnets: note(domain.virtualSubnets),
    lookupRecords: note(domain.lookupRecords),
    customerRoutes: note(domain.customerRoutes),
    siteConnections: note(domain.siteConnections),
  };
}

function note<K, V>(map: ReadonlyMap<K, V>): Noted<K, V> {
  return { names: [...map.keys()], values: [...map.values()] };
}
