/** Every fixture, for every program and branch of the data plane. */
import type { Fixture } from './fixture.ts';
import { forwarding } from './forwarding.ts';
import { neighbours } from './neighbours.ts';
import { peers } from './peers.ts';
import { prefixes } from './prefixes.ts';
import { provider } from './provider.ts';
import { router } from './router.ts';
import { segments } from './segments.ts';
import { sharedAddresses } from './shared.ts';
import { uplinks } from './uplink.ts';

export const fixtures: readonly Fixture[] = [
  ...provider,
  ...forwarding,
  ...router,
  ...neighbours,
  ...uplinks,
  ...sharedAddresses,
  ...peers,
  ...prefixes,
  ...segments,
];
