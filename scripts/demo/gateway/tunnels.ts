/** The hybrid cloud: two tenants with the same addresses here and at their sites, joined by IPsec, each to its own alone. */
import { Capture } from '../../../test/lab/capture.ts';
import { ask } from '../../../test/lab/echo.ts';
import { FAR_ADDRESS } from '../../../test/lab/internet.ts';
import { SITE_SUBNET } from '../../../test/lab/site-domains.ts';
import { serveTransfer, Transfer } from '../../../test/lab/transfer.ts';
import { fetchFrom, ping, VM_NIC } from '../../../test/lab/vm.ts';
import { secondsText } from '../narration.ts';
import type { Row } from '../table.ts';
import { readAnswer } from './reachability.ts';
import { type Branch, CONNECTION, FILES_PORT, joinSite, SQL_PORT } from './sites.ts';
import type { Stage } from './stage.ts';

/** Questions of each kind, asked by both tenants at the same time. */
const QUESTIONS = 5;
const TRANSFER_PORT = 8000;
const TRANSFER_BYTES = 2_000_000;
const BYTES_PER_SECOND = 500_000;
/** Bytes that arrive before the gateway is killed, and while it is away. */
const BEFORE_KILL = 100_000;
const WITHOUT_GATEWAY = 300_000;
/** Longer than any of these is no transfer that goes on. */
const LONGEST_SILENCE_MS = 1_000;

/** Gateway and sites are told of each other; how long it takes until each tunnel carries packets. */
export async function connectSites(branches: readonly Branch[]): Promise<Row[]> {
  return Promise.all(
    branches.map(async (branch): Promise<Row> => {
      const { tenant, domain, site } = branch;
      const begin = performance.now();
      await joinSite(branch);
      const { engine, ikeSas } = await domain.reaches(CONNECTION, 'connected', ({ carries }) => carries);
      const time = secondsText(performance.now() - begin);
      const { natRemote = false, childSas: [child] = [] } = ikeSas[0] ?? {};
      const { isBehindNat = false } = site.spec;
      return {
        what: `${tenant.title}'s tunnel to its ${SITE_SUBNET}${isBehindNat ? ', behind a NAT' : ''}`,
        seen: `up after ${time}; ${child?.encryption}; ESP by the ${engine === 'kernel' ? 'kernel' : 'userspace'} engine (probed)`,
        // The userspace engine has ESP inside UDP always.
        ok: child !== undefined && (natRemote || !isBehindNat),
      };
    }),
  );
}

/** Sites and VMs call each other, all tenants at the same time and at the same addresses; each must be answered by its own. */
export async function visitOwn(branches: readonly Branch[]): Promise<Row[]> {
  const rows = await Promise.all(
    branches.map(async ({ tenant: { title, machines }, site }): Promise<Row[]> => {
      const [sqlVm, webVm] = machines;
      const office = site.hostAddress();
      const [web, sql, files] = await Promise.all([
        fetchFrom(site.host, `http://${webVm.ip}/`).then(readAnswer),
        ask(site.host, `tcp:${sqlVm.ip}:${SQL_PORT}`, { count: QUESTIONS }),
        ask(webVm.namespace, `tcp:${office}:${FILES_PORT}`, { count: QUESTIONS }),
      ]);
      const webServer = typeof web === 'string' ? web : `'${web.server}'`;
      return [
        {
          what: `${title}'s ${office} reaches its own web VM and SQL VM`,
          seen: `${webVm.ip}:80 is ${webServer}, ${sqlVm.ip}:${SQL_PORT} is ${servers(sql)}`,
          ok:
            typeof web !== 'string' &&
            web.server === webVm.name &&
            web.yourAddress === office &&
            sql.every((answer) => answer?.server === sqlVm.name && answer.address === office),
        },
        {
          what: `${title}'s ${webVm.ip} reaches its own site`,
          seen: `${office}:${FILES_PORT} is ${servers(files)}, and sees ${files[0]?.address}`,
          ok: files.every((answer) => answer?.server === site.spec.name && answer.address === webVm.ip),
        },
      ];
    }),
  );
  return rows.flat();
}

function servers(answers: readonly ({ server: string } | null)[]): string {
  return [...new Set(answers.map((answer) => (answer === null ? 'no answer' : `'${answer.server}'`)))].join(
    ', ',
  );
}

/**
 * An address that only Fabrikam has is nobody's for Contoso's site. Both sites ask from the same address, so an answer to a
 * request that got there would go to the wrong one: what arrives at the VM is counted.
 */
export async function visitForeign(
  { fabrikamOnly }: Stage,
  [contoso, fabrikam]: [Branch, Branch],
): Promise<Row[]> {
  const atVm = await Capture.start(fabrikamOnly.namespace, VM_NIC, 'icmp');
  const [foreign, own] = await Promise.all([
    ping(contoso.site.host, fabrikamOnly.ip),
    ping(fabrikam.site.host, fabrikamOnly.ip),
  ]);
  await atVm.stop();
  const arrived = (await atVm.decode('icmp.type == 8', ['ip.src'])).length;
  return [
    {
      what: `Contoso's site does not reach ${fabrikamOnly.ip}; Fabrikam's does`,
      seen: `${foreign.received} of ${foreign.sent} pings answered, ${own.received} of ${own.sent}; ${arrived} got to the VM`,
      ok: foreign.received === 0 && own.received === own.sent && arrived === own.sent,
    },
  ];
}

/** What is not for the site goes to the internet as before. */
export async function fetchBeside(branches: readonly Branch[]): Promise<Row[]> {
  const answers = await Promise.all(
    branches.map(async ({ tenant }) => readAnswer(await tenant.machines[0].fetch(`http://${FAR_ADDRESS}/`))),
  );
  const seenAs = answers.map((answer) => (typeof answer === 'string' ? answer : answer.yourAddress));
  return [
    {
      what: 'Beside it both have the internet, by NAT',
      seen: `pages for ${seenAs.join(' and ')}`,
      ok: branches.every(({ tenant }, index) => seenAs[index] === tenant.externalAddress),
    },
  ];
}

/** Status tells in words what is wrong; what is mended comes up by itself, and the other tenant notices nothing. */
export async function useWrongKey([{ tenant, domain, site, key }, other]: [Branch, Branch]): Promise<Row[]> {
  const setKey = (preSharedKey: string) =>
    domain.patchConnection(CONNECTION, { authentication: { preSharedKey } });
  await setKey('not the key');
  const { lastError } = await domain.reaches(CONNECTION, 'failed', (live) => live.lastError !== undefined);
  const meanwhile = await other.domain.live(CONNECTION);
  const begin = performance.now();
  await setKey(key);
  await domain.reaches(CONNECTION, 'connected', ({ carries }) => carries);
  const time = secondsText(performance.now() - begin);
  const { sent, received } = await tenant.machines[0].ping(site.hostAddress());
  return [
    {
      what: `${tenant.title} has a wrong key: status tells why`,
      seen: `${lastError}`,
      ok: /authentication failed.*key/.test(lastError ?? '') && meanwhile.state === 'connected',
    },
    {
      what: 'With the right one, by one PATCH, it is up again',
      seen: `after ${time}; ${received} of ${sent} pings answered`,
      ok: received === sent,
    },
  ];
}

/** The gateway is killed and started again while each site gets a file from a VM. */
export async function killGatewayUnderTunnels(
  { gateway }: Stage,
  branches: readonly Branch[],
): Promise<Row[]> {
  const transfers = await Promise.all(
    branches.map(async ({ tenant: { machines }, site }) => {
      const [vm] = machines;
      await serveTransfer(vm.namespace, vm.ip, TRANSFER_PORT, TRANSFER_BYTES);
      return Transfer.start(site.host, vm.ip, TRANSFER_PORT, BYTES_PER_SECOND);
    }),
  );
  const more = (bytes: number) =>
    Promise.all(transfers.map((transfer) => transfer.reaches(transfer.received + bytes)));
  const keys = () => Promise.all(branches.map(({ domain }) => spiOf(domain)));
  await more(BEFORE_KILL);
  const before = await keys();
  await gateway.kill('SIGKILL');
  await more(WITHOUT_GATEWAY);
  await gateway.start();
  for (const { domain } of branches) await domain.reaches(CONNECTION, 'connected');
  const after = await keys();
  return Promise.all(
    transfers.map(async (transfer, index): Promise<Row> => {
      transfer.hurry();
      const { bytes, intact, longestSilence } = await transfer.finished();
      const isSame = before[index] !== undefined && before[index] === after[index];
      return {
        what: `SIGKILL to the gateway: ${branches[index]?.tenant.title}'s tunnel and TCP in it stay`,
        seen: `${isSame ? 'the same ESP SA' : 'another ESP SA'}; ${bytes / 1e6} MB ${intact ? 'intact' : 'broken'}, stalled ${secondsText(longestSilence)}`,
        ok: isSame && intact && longestSilence < LONGEST_SILENCE_MS,
      };
    }),
  );
}

async function spiOf(domain: Branch['domain']): Promise<string | undefined> {
  return (await domain.live(CONNECTION)).ikeSas[0]?.childSas[0]?.spiIn;
}
