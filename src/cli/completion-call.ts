/** The call of the completion script that `hnvgw completion` prints. */
export const completionCall = '__complete';
