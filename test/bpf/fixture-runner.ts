/** Puts packet fixtures through the data plane. */
import type { DataPlane, Outcome, RunOptions } from './data-plane.ts';
import type { Fixture } from './packet-fixtures/fixture.ts';
import { PreparedRuns } from './prepared-run.ts';

interface Test {
  teardown(fn: () => void): unknown;
}

export function optionsOf({ on, mark, gsoSize, gsoSegments }: Fixture): RunOptions {
  return {
    on,
    ...(mark !== undefined && { mark }),
    ...(gsoSize !== undefined && { gsoSize }),
    ...(gsoSegments !== undefined && { gsoSegments }),
  };
}

export class FixtureRunner {
  readonly #dataPlane: DataPlane;
  readonly #prepared: PreparedRuns;

  constructor(t: Test, dataPlane: DataPlane) {
    this.#dataPlane = dataPlane;
    this.#prepared = new PreparedRuns(t, dataPlane);
  }

  run(fixture: Fixture): Outcome {
    const { place, frame, length, vlan } = fixture;
    // ICMP errors are limited in their rate: each fixture has its own.
    this.#dataPlane.forgetErrors();
    if (length === undefined && vlan === undefined)
      return this.#dataPlane.run(place, frame, optionsOf(fixture));
    return this.#prepared.run(
      place,
      frame,
      { ...(length !== undefined && { length }), ...(vlan !== undefined && { vlan }) },
      optionsOf(fixture),
    );
  }
}
