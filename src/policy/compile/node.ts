import type { DesiredState } from '../state.ts';

/** What compiling a domain needs to know about this node. */
export interface CompileNode
  extends Pick<
    DesiredState,
    'providerAddresses' | 'ports' | 'portsByVsid' | 'forwardings' | 'uplinks' | 'allowsWeakAlgorithms'
  > {
  /** Addresses that are no tenant's to have, with whose they are, as the end of a sentence. */
  uplinkAddresses?: ReadonlyMap<string, string>;
}
