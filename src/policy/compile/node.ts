import type { DesiredState } from '../state.ts';

/** What compiling a domain needs to know about this node. */
export type CompileNode = Pick<DesiredState, 'providerAddresses' | 'ports' | 'portsByVsid'>;
