/** The generated client of the REST API, bound to one server: a method for each operation, by its `operationId`. */
import type { RequestOpts } from '@oazapfts/runtime';
import * as generated from './api.generated.ts';

type Generated = typeof generated;
type OperationName = {
  [Name in keyof Generated]: Generated[Name] extends (...args: never[]) => unknown ? Name : never;
}[keyof Generated];

type Bound<Operation extends (...args: never[]) => unknown> =
  // The last parameter of a generated function are its options; without another one the operation has no parameters.
  Parameters<Operation>['length'] extends 0 | 1
    ? (parameters?: undefined, headers?: Record<string, string>) => ReturnType<Operation>
    : Record<never, never> extends Parameters<Operation>[0]
      ? (parameters?: Parameters<Operation>[0], headers?: Record<string, string>) => ReturnType<Operation>
      : (parameters: Parameters<Operation>[0], headers?: Record<string, string>) => ReturnType<Operation>;

/** Each operation takes its parameters and body as one object; any status is a result, told by `status`. */
export type TypedApi = { readonly [Name in OperationName]: Bound<Generated[Name]> };

/** The operations of the server that `options` lead to. */
export function typedApi(options: Pick<RequestOpts, 'baseUrl' | 'fetch'>): TypedApi {
  const bound = Object.entries(generated).flatMap(([name, operation]) => {
    if (typeof operation !== 'function') return [];
    const call = operation as (...args: unknown[]) => unknown;
    const bind = (parameters: unknown, headers?: Record<string, string>) => {
      const all = headers === undefined ? options : { ...options, headers };
      return call.length === 1 ? call(all) : call(parameters ?? {}, all);
    };
    return [[name, bind]];
  });
  return Object.fromEntries(bound) as TypedApi;
}

/** The answer, which must have this status. */
export async function expectStatus<
  Answer extends { status: number; data?: unknown },
  S extends Answer['status'],
>(status: S, answer: Promise<Answer>): Promise<Extract<Answer, { status: S }>> {
  const got = await answer;
  if (got.status === status) return got as Extract<Answer, { status: S }>;
  throw new Error(`the status is ${got.status} instead of ${status}: ${JSON.stringify(got.data)}`);
}
