/** What nftables calls the two families of addresses. */
import { addressFamily } from '../policy/address.ts';
import type { NatPlan } from '../policy/plan.ts';

export type Family = 4 | 6;

export const NFT = {
  4: {
    ...{ ip: 'ip', nfproto: 'ipv4', type: 'ipv4_addr', suffix: '' },
    ...{ any: '0.0.0.0', everybody: '0.0.0.0/0', length: 32 },
  },
  6: {
    ...{ ip: 'ip6', nfproto: 'ipv6', type: 'ipv6_addr', suffix: '6' },
    ...{ any: '::', everybody: '::/0', length: 128 },
  },
} as const;

/** Families that the plan has external addresses of. */
export function familiesOf(plan: NatPlan | undefined): Family[] {
  const found = new Set(plan?.externalAddresses.map(({ address }) => addressFamily(address)));
  return ([4, 6] as const).filter((family) => found.has(family));
}
