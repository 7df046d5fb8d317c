/** NAT policies for tests: what is given, and the defaults of all else. */
import { normalize } from '../../src/policy/normalize.ts';
import type { Nat } from '../../src/policy/resources.ts';

/** As a body of REST may be. */
export interface NatInput extends Omit<Partial<Nat>, 'timeouts' | 'filtering'> {
  timeouts?: Partial<Nat['timeouts']>;
  filtering?: Partial<Nat['filtering']>;
}

export function natPolicy(given: NatInput): Nat {
  return normalize('nat', given as Nat);
}
