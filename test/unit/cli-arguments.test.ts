import t from 'tap';
import { readArguments } from '../../src/cli/arguments.ts';
import { findCommand, loadCommand } from '../../src/cli/commands.ts';
import { UsageError } from '../../src/cli/failures.ts';

/** What a command is called with; undefined when its help is wanted. */
async function read(words: string[]) {
  const found = findCommand(words);
  if (found === undefined) throw new Error(`there is no command ${words.join(' ')}`);
  const command = await loadCommand(found.name);
  return { command, input: readArguments(command, found.rest) };
}

const wrong: [words: string[], said: RegExp][] = [
  [['gateway', '--bad'], /^gateway has no option --bad$/],
  [['gateway', '--confg', 'x'], /^gateway has no option --confg; did you mean --config\?$/],
  [['gateway', '--constructor'], /^gateway has no option --constructor/],
  [['gateway', '--config'], /^--config needs a value: --config FILE$/],
  [['gateway', '--config='], /^--config needs a value/],
  [['gateway', '--config', '--help'], /^--config needs a value/],
  [['apply', '--whole=yes', '-f', 'x'], /^--whole takes no value, but has yes$/],
  [['apply'], /^-f FILE is missing: the policy document/],
  [['apply', '-f', 'a', '-f', 'b'], /^--file is given 2 times, but can be only once$/],
  [['apply', '-f', 'a', '--wait', 'soon'], /^--wait is soon, but must be a time such as 500ms/],
  [['apply', '-f', 'a', '--wait', '2m'], /^--wait is 2m, but .* at most 60s$/],
  [['get'], /^RESOURCE is missing: what to show$/],
  [['get', 'recrds'], /^there is no resource recrds; did you mean records\?\nResources: routing-domains, /],
  [['get', 'nat', 'x', '-d', 'y'], /^there is only one nat, so it has no id such as x$/],
  [['get', 'ports', '-o', 'jsn'], /^-o is jsn, but must be one of table, json, yaml; did you mean json\?$/],
  [['get', 'ports', 'a', 'b'], /^get takes no argument b$/],
  [['delete', 'port'], /^ID is missing: which port is to go$/],
  [['delete', 'policy'], /^the policy cannot be deleted, but emptied: hnvgw apply --whole$/],
  [['delete', 'token', 'x'], /^tokens are revoked: hnvgw token revoke ID$/],
  [['token', 'create', 'x'], /^--role ROLE is missing: what it may do$/],
  [
    ['token', 'create', 'x', '--role', 'root'],
    /^--role is root, but must be one of admin, operator, tenant$/,
  ],
  [
    ['token', 'create', 'x', '--role', 'admin', '--expires', 'soon'],
    /^--expires is soon, but must be a time/,
  ],
  [['token', 'create', 'x', '--role', 'admin', '--expires', '2027-13-01'], /^--expires is 2027-13-01, but/],
  [['audit', '-n', '0'], /^--last is 0, but must be a number from 1 on$/],
  [['completion', 'fish'], /^SHELL is fish, but must be one of bash$/],
  [['status', '--server', 'gw1:8080'], /^the server is gw1:8080, but must be https:\/\/HOST:PORT/],
  [['status', '--server', 'http://gw1/v1'], /^the server is http:\/\/gw1\/v1, but must be/],
  [['status', '--server', 'https://me:secret@gw1'], /^the server is .* but must be/],
];

for (const [words, message] of wrong) {
  t.test(`hnvgw ${words.join(' ')} is refused with the reason`, async (t) => {
    const call = async () => {
      const { command, input } = await read(words);
      return input === undefined ? undefined : command.run(input);
    };
    const error = await call().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    t.ok(error instanceof UsageError);
    t.match(error, { message });
  });
}

t.test('options come before and after arguments, short and long', async (t) => {
  const expected = {
    arguments: { resource: 'records', id: 'vm1' },
    options: { domain: 'Contoso', output: 'json' },
  };
  for (const line of [
    'get records vm1 -d Contoso -o json',
    'get -d Contoso records --output=json vm1',
    'get --domain Contoso -ojson -- records vm1',
  ])
    t.match((await read(line.split(' '))).input, expected, line);
});

t.test('what may be given several times is a list, what is not given is absent', async (t) => {
  const { input } = await read('token create t --role tenant -d a --domain b'.split(' '));
  t.match(input, { options: { domain: ['a', 'b'], role: 'tenant' } });
  t.equal(input?.options.expires, undefined);
  t.strictSame((await read(['token', 'create', 't', '--role', 'admin'])).input?.options.domain, []);
  t.equal((await read(['apply', '-f', '-'])).input?.options.file, '-', 'standard input is a value');
});

t.test('help is wanted whatever else is missing', async (t) => {
  for (const line of ['get --help', 'apply --help', 'token create --help'])
    t.equal((await read(line.split(' '))).input, undefined);
});
