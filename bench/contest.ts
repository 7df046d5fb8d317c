/**
 * A fair comparison on a machine that is never quiet: contenders run in turns, A B A B …, and are compared within each
 * round, where what disturbed one most likely disturbed the other.
 */

/** Runs once and answers its figure; more is better. */
export type Contender = () => Promise<number>;

/** Median, smallest and largest of the rounds. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const [lower, upper] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (lower === undefined || upper === undefined) throw new Error('a spread of no values');
  return { median: (lower + upper) / 2, min: sorted[0] ?? lower, max: sorted.at(-1) ?? upper };
}

/** Each contender's figures, one for each round. `onFigure` hears each as it comes. */
export async function contest<Name extends string>(
  contenders: Record<Name, Contender>,
  rounds: number,
  onFigure: (name: NoInfer<Name>, round: number, figure: number) => void,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(contenders) as Name[];
  const figures = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, number[]>;
  for (let round = 1; round <= rounds; round++) {
    for (const name of names) {
      const figure = await contenders[name]();
      figures[name].push(figure);
      onFigure(name, round, figure);
    }
  }
  return figures;
}

/** The ratio of two contenders in each round. */
export function ratios(figures: readonly number[], reference: readonly number[]): number[] {
  return figures.map((figure, round) => figure / (reference[round] ?? Number.NaN));
}
