/** The value that a share of the values, which are in ascending order, does not exceed. */
export function quantile(ascending: readonly number[], share: number): number {
  const value = ascending[Math.min(ascending.length - 1, Math.ceil(ascending.length * share) - 1)];
  if (value === undefined) throw new Error('a quantile of no values');
  return value;
}
