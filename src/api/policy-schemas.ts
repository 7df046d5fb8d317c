/** The OpenAPI components of `/v1/policy`: the document, its parts, and what became of one. */
import { type TSchema, Type } from 'typebox';
import {
  type DocumentList,
  documentLists,
  documentSchema,
  domainParts,
  domainSchema,
  elementSchema,
  nodeLists,
  type PartSchemas,
} from '../policy/document-schema.ts';
import type { ResourceKind, SingleKind } from '../policy/resources.ts';
import { exampleRdid, examples } from './examples.ts';
import { MOST_NOT_READY } from './policy-status.ts';

const closed = { additionalProperties: false } as const;

const reference = (component: string) => Type.Unsafe({ $ref: `${component}#` });
const componentOf = (kind: ResourceKind) => `Policy${kind[0]?.toUpperCase()}${kind.slice(1)}`;

const parts: PartSchemas = {
  element: ({ kind }) => reference(componentOf(kind)),
  single: (kind) => reference(`${kind[0]?.toUpperCase()}${kind.slice(1)}`),
  domain: reference(componentOf('routingDomain')),
};

const count = Type.Integer({ minimum: 0 });
const anything = Type.Unknown();

const PolicyStatus = Type.Object(
  {
    ready: count,
    pending: count,
    failed: count,
    notReady: Type.Array(
      Type.Object(
        {
          path: Type.String(),
          state: Type.Union([Type.Literal('pending'), Type.Literal('failed')]),
          reason: Type.Optional(Type.String()),
        },
        closed,
      ),
      { maxItems: MOST_NOT_READY, description: 'the first of them; those that failed come first' },
    ),
  },
  {
    $id: 'PolicyStatus',
    description:
      'How much of what the document names or touches is in which state; a routing domain counts as one, with all that ' +
      'belongs to it',
    ...closed,
  },
);

const PolicyOutcome = Type.Object(
  {
    revision: Type.Integer({ description: 'revision of the store, also its ETag' }),
    dryRun: Type.Boolean({ description: 'nothing was written; the rest is what would be' }),
    created: count,
    changed: count,
    deleted: count,
    unchanged: count,
    changes: Type.Array(
      Type.Object(
        {
          change: Type.Union([Type.Literal('created'), Type.Literal('changed'), Type.Literal('deleted')]),
          path: Type.String({ description: 'path of the resource' }),
          fields: Type.Optional(
            Type.Array(
              Type.Object(
                {
                  pointer: Type.String({ description: 'JSON pointer in the resource' }),
                  before: Type.Optional(anything),
                  after: Type.Optional(anything),
                },
                closed,
              ),
              { description: 'of what is changed; of secrets there is neither `before` nor `after`' },
            ),
          ),
        },
        closed,
      ),
    ),
    moreChanges: Type.Optional(
      Type.Integer({ minimum: 1, description: 'how many changes there are that are not listed' }),
    ),
    status: Type.Optional(reference('PolicyStatus')),
  },
  { $id: 'PolicyOutcome', ...closed },
);

/** All of them, for `addSchema`. */
export function policyComponents(): TSchema[] {
  return [
    ...documentLists.map((list) => ({ ...elementSchema(list), $id: componentOf(list.kind) })),
    { ...domainSchema(parts), $id: componentOf('routingDomain') },
    {
      ...documentSchema(parts),
      $id: 'PolicyDocument',
      description:
        'The whole desired state. Lookup records of type dynamic, which nodes learn, are not in it.',
      examples: [exampleDocument()],
    },
    PolicyStatus,
    PolicyOutcome,
  ];
}

function exampleDocument(): object {
  const part = (each: DocumentList | SingleKind) => {
    if (typeof each === 'string') return [each, examples[each][0]?.[1]];
    const { list, kind, naming } = each;
    return [list, examples[kind].map(([name, value]) => ({ [naming]: name, ...value }))];
  };
  const parts = (all: readonly (DocumentList | SingleKind)[]) => Object.fromEntries(all.map(part));
  const [[, domain] = []] = examples.routingDomain;
  return {
    ...parts(nodeLists.before),
    routingDomains: [{ rdid: exampleRdid, ...domain, ...parts(domainParts) }],
    ...parts(nodeLists.after),
  };
}
