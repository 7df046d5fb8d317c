/** Next hops, by family, of what leaves a context by `ext`. Never on a wire: they only name the permanent neighbours. */
export const uplinkHop = { 4: '169.254.1.1', 6: 'fe80::1' } as const;
