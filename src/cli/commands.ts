/** All commands, by name. Each is loaded when it is needed, so that one does not wait for what only others use. */
import type { Command } from './command.ts';

const loaders = {
  gateway: () => import('./commands/gateway.ts'),
  host: () => import('./commands/host.ts'),
  'config check': () => import('./commands/config-check.ts'),
  apply: () => import('./commands/apply.ts'),
  diff: () => import('./commands/diff.ts'),
  delete: () => import('./commands/delete.ts'),
  get: () => import('./commands/get.ts'),
  status: () => import('./commands/status.ts'),
  counters: () => import('./commands/counters.ts'),
  drops: () => import('./commands/drops.ts'),
  events: () => import('./commands/events.ts'),
  sessions: () => import('./commands/sessions.ts'),
  sas: () => import('./commands/sas.ts'),
  bgp: () => import('./commands/bgp.ts'),
  doctor: () => import('./commands/doctor.ts'),
  'token create': () => import('./commands/token-create.ts'),
  'token list': () => import('./commands/token-list.ts'),
  'token revoke': () => import('./commands/token-revoke.ts'),
  audit: () => import('./commands/audit.ts'),
  backup: () => import('./commands/backup.ts'),
  restore: () => import('./commands/restore.ts'),
  completion: () => import('./commands/completion.ts'),
  help: () => import('./commands/help.ts'),
  version: () => import('./commands/version.ts'),
} satisfies Record<string, () => Promise<{ default: Command }>>;

type CommandName = keyof typeof loaders;

export interface CommandGroup {
  readonly title: string;
  readonly commands: readonly CommandName[];
}

/** As the help shows them. */
export const commandGroups: readonly CommandGroup[] = [
  { title: 'Run a node', commands: ['gateway', 'host', 'config check'] },
  { title: 'Change what a node has', commands: ['apply', 'diff', 'delete'] },
  {
    title: 'Look',
    commands: ['get', 'status', 'counters', 'drops', 'events', 'sessions', 'sas', 'bgp', 'doctor'],
  },
  {
    title: 'Look after a node',
    commands: ['token create', 'token list', 'token revoke', 'audit', 'backup', 'restore'],
  },
  { title: 'This program', commands: ['completion', 'help', 'version'] },
];

/** Names of one or two words. */
export const commandNames = Object.keys(loaders) as readonly CommandName[];

/** What `help` explains beside the commands. */
export const policyTopic = 'policy';

export async function loadCommand(name: CommandName): Promise<Command> {
  return (await loaders[name]()).default;
}

export interface FoundCommand {
  readonly name: CommandName;
  /** The words after its name. */
  readonly rest: readonly string[];
}

/** The command that the words begin with. */
export function findCommand(words: readonly string[]): FoundCommand | undefined {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    if (words.length >= length && Object.hasOwn(loaders, name))
      return { name: name as CommandName, rest: words.slice(length) };
  }
  return undefined;
}

/** Whether commands of two words begin with this one: `token`. */
export function isFamily(word: string): boolean {
  return commandNames.some((name) => name.startsWith(`${word} `));
}
