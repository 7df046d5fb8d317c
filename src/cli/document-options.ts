/** The options of commands that read a policy document. */
import type { Options } from './command.ts';

export const fileOption = {
  file: {
    type: 'string',
    short: 'f',
    value: 'FILE',
    required: true,
    complete: 'file',
    summary: 'the policy document; - is standard input',
  },
} as const satisfies Options;

export const wholeOption = {
  whole: {
    type: 'boolean',
    summary: 'the file is all that there is to be: what is not in it goes, but for learned records',
  },
} as const satisfies Options;
