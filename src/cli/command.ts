/**
 * What a command is: words, arguments, options, examples, and what it does. Parsing, --help, completion and docs/cli.md are all
 * made from this description.
 */

/** What completion offers for an argument or the value of an option. */
export type Completion = 'file' | 'domain' | 'resource' | 'id' | 'token' | 'connection' | 'command';

export interface Argument {
  readonly summary: string;
  readonly optional?: true;
  readonly choices?: readonly string[];
  readonly complete?: Completion;
}

interface OptionWords {
  readonly short?: string;
  readonly summary: string;
  /** Options that many commands have are shown under a heading of their own. */
  readonly group?: 'connection';
}

export interface Flag extends OptionWords {
  readonly type: 'boolean';
}

export interface ValueOption extends OptionWords {
  readonly type: 'string';
  /** What stands for the value in a synopsis: FILE. */
  readonly value: string;
  readonly required?: true;
  /** May be given several times. */
  readonly multiple?: true;
  readonly choices?: readonly string[];
  readonly complete?: Completion;
}

export type Arguments = Readonly<Record<string, Argument>>;
export type Options = Readonly<Record<string, Flag | ValueOption>>;

type ArgumentValues<A extends Arguments> = {
  readonly [K in keyof A]: A[K] extends { optional: true } ? string | undefined : string;
};
type OptionValues<O extends Options> = {
  readonly [K in keyof O]: O[K] extends Flag
    ? boolean
    : O[K] extends { multiple: true }
      ? readonly string[]
      : O[K] extends { required: true }
        ? string
        : string | undefined;
};

/** What a command was called with. */
export interface Input<A extends Arguments = Arguments, O extends Options = Options> {
  readonly arguments: ArgumentValues<A>;
  readonly options: OptionValues<O>;
}

export interface Example {
  readonly what: string;
  /** As it is typed into a shell; may go over several lines. */
  readonly line: string;
}

export interface Command<A extends Arguments = Arguments, O extends Options = Options> {
  /** One word, or two: `token create`. */
  readonly name: string;
  /** What it does, as the continuation of its name: `list the tokens`. */
  readonly summary: string;
  /** Paragraphs. */
  readonly about: readonly string[];
  /** In their order. */
  readonly arguments: A;
  readonly options: O;
  readonly examples: readonly Example[];
  /** Commands and pages that go on from here. */
  readonly seeAlso: readonly string[];
  /** Does it; the exit code when it is not 0. */
  readonly run: (input: Input<A, O>) => Promise<number | undefined>;
}

/** Describes a command; its `run` gets values of the types that its arguments and options say. */
export function command<const A extends Arguments, const O extends Options>(
  description: Command<A, O>,
): Command {
  return description as unknown as Command;
}
