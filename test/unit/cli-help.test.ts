import t from 'tap';
import { readArguments } from '../../src/cli/arguments.ts';
import { commandGroups, commandNames, findCommand, loadCommand } from '../../src/cli/commands.ts';
import { commandHelp, programHelp, synopsis } from '../../src/cli/help.ts';
import { policyHelp } from '../../src/cli/policy-help.ts';
import { commandReference } from '../../src/cli/reference.ts';
import { shellWords } from '../../src/cli/shell-words.ts';
import { documentLists } from '../../src/policy/document-schema.ts';
import {
  ExternalAddress,
  ExternalPrefix,
  MainMode,
  NatFiltering,
  NatTimeouts,
  OneToOne,
  QuickMode,
  type ResourceKind,
  resourceSchemas,
  SiteAuthentication,
  SiteSubnet,
  StaticMapping,
} from '../../src/policy/resources.ts';

const commands = await Promise.all(commandNames.map(loadCommand));

/** Each call of the program in an example, as words; redirections and what another program makes of it are left out. */
function calls(line: string): string[][] {
  return [...line.matchAll(/(?:^|[\n|(;&] ?|<\()\s*(hnvgw [^\n|)>]*)/g)].map(([, call = '']) => {
    const { words, current } = shellWords(`${call.trim()} `);
    return [...words, current].filter((word) => word !== '').slice(1);
  });
}

t.test('every command is in one group of the help, under its own name', async (t) => {
  const grouped = commandGroups.flatMap((group) => group.commands);
  t.strictSame([...grouped].sort(), [...commandNames].sort());
  t.strictSame(
    commands.map(({ name }) => name),
    commandNames,
  );
  const help = await programHelp();
  for (const { name, summary } of commands) t.match(help, `${name} `, summary);
});

for (const command of commands) {
  t.test(`the help of ${command.name} has all that it is described with, and examples`, async (t) => {
    const help = commandHelp(command);
    const flat = help.replaceAll(/\s+/g, ' ');
    t.ok(help.startsWith(`hnvgw ${command.name}: ${command.summary}\n\nUsage: ${synopsis(command)}\n`));
    for (const name of Object.keys(command.arguments)) t.match(flat, name.toUpperCase());
    for (const name of Object.keys(command.options)) t.match(flat, `--${name}`);
    for (const paragraph of command.about) t.match(flat, paragraph);
    t.ok(command.about.length > 0 && command.examples.length > 0 && command.seeAlso.length > 0);
    for (const { line } of command.examples)
      for (const part of line.split('\n')) t.match(help, `\n  ${part}\n`);
    t.notOk(help.split('\n').some((line) => line.length > 120 && !line.startsWith('Usage')));
  });

  t.test(`the examples of ${command.name} are right calls`, async (t) => {
    let own = 0;
    for (const { line } of command.examples) {
      for (const words of calls(line)) {
        const found = findCommand(words);
        if (found === undefined) throw new Error(`${line}: there is no such command`);
        if (found.name === command.name) own++;
        t.ok(readArguments(await loadCommand(found.name), found.rest), line);
      }
    }
    t.ok(own > 0, 'its own name is in them');
  });

  t.test(`what ${command.name} refers to is there`, async (t) => {
    for (const reference of command.seeAlso) {
      if (reference.startsWith('docs/')) continue;
      t.ok(findCommand(reference.split(' ').slice(1)), reference);
    }
  });
}

t.test('the help of policy documents has every part with every field', async (t) => {
  const parts = policyHelp().split(/\n(?=\s*[a-zA-Z]+: )/);
  const fieldsOf = (part: string) =>
    [
      ...(parts.find((text) => text.trimStart().startsWith(`${part}: `)) ?? '').matchAll(
        /^ {2,6}([a-zA-Z]+)(?= {2}|$)/gm,
      ),
    ].map(([, name]) => name);
  const ownFields = (kind: ResourceKind) => Object.keys(resourceSchemas[kind].properties);
  for (const { list, kind, naming } of documentLists)
    if (kind !== 'siteConnection') t.strictSame(fieldsOf(list), [naming, ...ownFields(kind)], list);
  t.strictSame(fieldsOf('siteConnections'), [
    ...[
      'name',
      'destination',
      'localAddress',
      'authentication',
      ...Object.keys(SiteAuthentication.properties),
    ],
    ...['subnets', ...Object.keys(SiteSubnet.properties), 'localSubnets'],
    ...['mainMode', ...Object.keys(MainMode.properties), 'quickMode', ...Object.keys(QuickMode.properties)],
    ...['txBandwidthKbps', 'rxBandwidthKbps', 'initiate', 'idleDisconnectSeconds', 'mobike'],
  ]);
  t.strictSame(fieldsOf('routingDomains'), ['rdid', ...ownFields('routingDomain')]);
  t.strictSame(fieldsOf('gateway'), ownFields('gateway'));
  t.strictSame(fieldsOf('nat'), [
    ...['externalAddresses', ...Object.keys(ExternalAddress.properties)],
    ...['pool', 'allocatedAddress', ...Object.keys(ExternalAddress.properties)],
    ...['externalPrefixes', ...Object.keys(ExternalPrefix.properties)],
    ...['staticMappings', ...Object.keys(StaticMapping.properties)],
    ...['oneToOne', ...Object.keys(OneToOne.properties)],
    ...['timeouts', ...Object.keys(NatTimeouts.properties)],
    ...['filtering', ...Object.keys(NatFiltering.properties)],
    ...['hairpinning', 'algs', 'maxSessions'],
  ]);
});

t.test('the reference has every command with its options', async (t) => {
  const page = (await commandReference()).join('\n');
  for (const { name, options } of commands) {
    const [, section = ''] = page.split(`### hnvgw ${name}\n`);
    const [own = ''] = section.split('\n##');
    for (const [option, { group }] of Object.entries(options))
      if (group === undefined) t.match(own, `--${option}`, `${name} --${option}`);
  }
});
