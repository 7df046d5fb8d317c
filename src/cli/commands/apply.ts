/** Writes what a file names: POST /v1/policy, or PUT for the whole. */
import { withApi } from '../api.ts';
import { changeLines, countsText, type PolicyOutcome } from '../changes.ts';
import { command } from '../command.ts';
import { fileOption, wholeOption } from '../document-options.ts';
import { exitCodes } from '../failures.ts';
import { harmless } from '../harmless.ts';
import { outputOption, print } from '../output.ts';
import { connectionOptions } from '../server.ts';
import { readWait, waitOption } from '../wait-option.ts';

/** As little as a gateway and a tenant need. */
const tenant = `cat > tenant.yaml <<'END'
providerAddresses:
  - { address: 192.168.1.20, interface: eth0, prefixLength: 24 }
routingDomains:
  - rdid: 33333333-3333-3333-3333-333333333333
    name: Example
    virtualSubnets:
      - { vsid: 7001, addressPrefixes: [10.7.1.0/24] }
      - { vsid: 7002, addressPrefixes: [10.254.254.0/29], isGatewaySubnet: true }
    lookupRecords:
      - id: vm1
        customerAddress: 10.7.1.11
        virtualSubnetId: 7001
        macAddress: 02:00:00:70:01:11
        providerAddress: 192.168.1.10
    gateway:
      virtualSubnetId: 7002
      customerAddresses: [10.254.254.2]
      macAddress: 02:00:00:70:fe:02
    nat:
      externalAddresses: [{ ipAddress: 198.51.100.107 }]
END
hnvgw apply -f tenant.yaml`;

export default command({
  name: 'apply',
  summary: 'create or replace what a file names',
  about: [
    'Reads a policy document, YAML or JSON, and makes the node have what it says: all of it or, when something in it breaks a ' +
      'rule, nothing. What the file does not name stays as it is; with --whole it goes. A mistake is named with its line. ' +
      'Doing it again changes nothing.',
    'hnvgw help policy explains what such a document has, and hnvgw get policy prints that of the node. A file may have several ' +
      'documents, parted by ---.',
    'Then it waits until the kernel has it, and exits with 1 when it cannot have it.',
  ],
  arguments: {},
  options: {
    ...fileOption,
    ...wholeOption,
    'dry-run': { type: 'boolean', summary: 'check it and show what would change, without changing anything' },
    ...waitOption,
    ...outputOption,
    ...connectionOptions,
  },
  examples: [
    {
      what: 'a tenant with a VM on the host 192.168.1.10, which this gateway connects to the internet',
      line: tenant,
    },
    {
      what: 'save the whole policy, and bring it back later: what is not in the file goes',
      line: 'hnvgw get policy > policy.yaml\nhnvgw apply -f policy.yaml --whole',
    },
    { what: 'only look what would change', line: 'hnvgw apply -f policy.yaml --whole --dry-run' },
  ],
  seeAlso: ['hnvgw help policy', 'hnvgw diff', 'hnvgw get policy', 'hnvgw delete', 'docs/first-tenant.md'],
  run: async ({ options }) => {
    const dryRun = options['dry-run'];
    const wait = readWait(options.wait, 'apply');
    const { readPolicyInput } = await import('../document.ts');
    const input = await readPolicyInput(options.file);
    return withApi(options, async (api) => {
      const outcome = await api
        .json<PolicyOutcome>(options.whole ? 'PUT' : 'POST', '/v1/policy', {
          query: dryRun ? { dryRun } : wait.query,
          body: input.document,
          silenceMs: wait.silenceMs,
        })
        .catch((error: unknown) => {
          throw input.located(error);
        });
      await print(options.output, outcome, () => [
        ...changeLines(outcome),
        `${countsText(outcome)}${dryRun ? '; nothing was done (--dry-run)' : ''}`,
      ]);
      return dryRun ? undefined : toldStatus(outcome, wait.text);
    });
  },
});

/** What the kernel does not have of it, for people; and whether that is a failure. */
function toldStatus({ status }: PolicyOutcome, waited: string): number | undefined {
  if (status === undefined || status.pending + status.failed === 0) return undefined;
  const { pending, failed, notReady } = status;
  const head =
    failed > 0
      ? `it is stored, but the kernel could not take all of it: ${failed} failed, ${pending} pending`
      : `it is stored, but the kernel did not have all of it within ${waited}: ${pending} pending`;
  const lines = notReady.map(
    ({ path, state, reason }) =>
      `  ${path.replace(/^\/v1\//, '')} is ${state}${reason === undefined ? '' : `: ${reason}`}`,
  );
  process.stderr.write(`${['hnvgw: '.concat(head), ...lines].map(harmless).join('\n')}\n`);
  return failed > 0 ? exitCodes.failed : undefined;
}
