/** Random sequences of what a portal, an operator and the machine do to a node, repeated exactly by a seed. */
import fc from 'fast-check';
import type { Namespace } from './namespace.ts';
import { NIC_ADDRESSES, opening, PROVIDER_NICS, placed, VM_INTERFACES } from './random-policy.ts';

/** What the request demands of the ETag; `right` and `wrong` are filled in when it is sent. */
export type Condition = 'none' | 'right' | 'wrong' | 'absent';

export interface Write {
  readonly method: 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly condition: Condition;
}

/** A whole policy: `PUT` what there is with these edits and without some of the rest, `POST` the edits alone. */
export interface Document {
  readonly method: 'PUT' | 'POST';
  readonly path: '/v1/policy';
  readonly edits: readonly { path: string; body: unknown }[];
  /** Numbers of resources that are left out, modulo how many there are. */
  readonly without: readonly number[];
  readonly dryRun: boolean;
  readonly condition: Condition;
}

export type Request = Write | Document;

export type Operation =
  | { readonly does: 'request'; readonly request: Request }
  /** An interface comes when it is not there, and goes when it is. */
  | { readonly does: 'plug'; readonly interface: string }
  | { readonly does: 'mtu'; readonly interface: string; readonly mtu: number }
  /** SIGKILL and start again; with a request so many milliseconds before it. */
  | { readonly does: 'kill'; readonly under?: { request: Request; ms: number } };

export interface Step {
  readonly node: 'gateway' | 'host';
  readonly operation: Operation;
}

const condition: fc.Arbitrary<Condition> = fc.oneof(
  { weight: 12, arbitrary: fc.constant<Condition>('none') },
  fc.constantFrom<Condition>('right', 'wrong', 'absent'),
);

/** Some fields of a body; null stands for the field's absence. */
const patch = fc
  .tuple(placed, fc.nat(), fc.nat(3))
  .map(([{ path, body }, which, asNull]): { path: string; body: unknown } => {
    const fields = Object.entries(body as Record<string, unknown>);
    const [name, value] = fields[which % Math.max(fields.length, 1)] ?? ['unknown', 1];
    return { path, body: { [name]: asNull === 0 ? null : value } };
  });

const write: fc.Arbitrary<Write> = fc
  .oneof(
    { weight: 11, arbitrary: fc.record({ method: fc.constant('PUT' as const), place: placed, condition }) },
    { weight: 3, arbitrary: fc.record({ method: fc.constant('PATCH' as const), place: patch, condition }) },
    { weight: 4, arbitrary: fc.record({ method: fc.constant('DELETE' as const), place: placed, condition }) },
  )
  .map(({ method, place: { path, body }, condition: demand }) => ({
    ...{ method, path, condition: demand },
    ...(method === 'DELETE' ? {} : { body }),
  }));

const document: fc.Arbitrary<Document> = fc.record({
  method: fc.constantFrom('PUT' as const, 'POST' as const),
  path: fc.constant('/v1/policy' as const),
  edits: fc.array(placed, { maxLength: 3, size: 'max' }),
  without: fc.array(fc.nat(), { maxLength: 2, size: 'max' }),
  dryRun: fc.boolean(),
  condition,
});

const request: fc.Arbitrary<Request> = fc.oneof(
  { weight: 8, arbitrary: write },
  { weight: 1, arbitrary: document },
);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 60, arbitrary: fc.record({ does: fc.constant('request' as const), request }) },
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant('plug' as const),
      interface: fc.constantFrom(PROVIDER_NICS[1], ...VM_INTERFACES),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('mtu' as const),
      interface: fc.constant(PROVIDER_NICS[0]),
      mtu: fc.constantFrom(1500, 1600),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ does: 'kill' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('kill' as const),
      under: fc.record({ request, ms: fc.nat(30) }),
    }),
  },
);

/** The steps of a seed: always the same ones, and the first of a longer sequence are those of a shorter one. */
export function stepsOf(seed: number, count: number): Step[] {
  const nodes = ['gateway', 'host'] as const;
  const first = nodes.flatMap((node) =>
    opening.map(({ path, body }): Step => {
      const request: Request = { method: 'PUT', path, body, condition: 'none' };
      return { node, operation: { does: 'request', request } };
    }),
  );
  const step: fc.Arbitrary<Step> = fc.record({ node: fc.constantFrom(...nodes), operation });
  return [...first, ...fc.sample(step, { seed, numRuns: count })];
}

/** Makes an interface as the universe has it; the other side of a veth is in the namespace `peers`. */
export async function plug(namespace: Namespace, name: string, peers: Namespace): Promise<void> {
  // The last VM's interface is no veth.
  if (name === VM_INTERFACES.at(-1)) {
    await namespace.ipBatch([`tuntap add dev ${name} mode tap`, `link set ${name} up`]);
    return;
  }
  const [, changing] = PROVIDER_NICS;
  await namespace.ipBatch([
    `link add ${name} type veth peer name ${name} netns ${peers.name}`,
    ...(name === changing ? NIC_ADDRESSES[changing].map((address) => `addr add ${address} dev ${name}`) : []),
    `link set ${name} up`,
  ]);
  await peers.ip('link', 'set', name, 'up');
}
