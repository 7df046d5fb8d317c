/** Forwarding without NAT: tenants reach corporate networks by their own addresses, over VLANs, with routes that BGP tells. */
import { Capture } from '../../../test/lab/capture.ts';
import { CORPORATE_NIC } from '../../../test/lab/corporate-network.ts';
import { ask, type EchoAnswer } from '../../../test/lab/echo.ts';
import { FAR_ADDRESS } from '../../../test/lab/internet.ts';
import { CORPORATE_SUBNET, filesAt, LINK } from '../../../test/lab/routed-domains.ts';
import { secondsText } from '../narration.ts';
import { lossDuring, lossText } from '../steady-ping.ts';
import type { Row } from '../table.ts';
import { type Company, type CorporateStage, joinCorporate, SQL_PORT } from './corporate.ts';
import { readAnswer } from './reachability.ts';

/** Questions of each kind. */
const QUESTIONS = 3;

/** The gateway is told of all three at once; how long until BGP's routes are there, as REST shows them. */
export async function joinNetworks({ companies }: CorporateStage): Promise<Row[]> {
  const rows = await Promise.all(
    companies.map(async (company): Promise<Row[]> => {
      const begin = performance.now();
      await joinCorporate(company);
      const time = secondsText(performance.now() - begin);
      if (company.speaker === undefined) return [];
      const [route] = (await company.domain.routes()).filter(({ peer }) => peer !== undefined);
      const path = route?.asPath.join(' ');
      return [
        {
          what: `${company.title} learns ${CORPORATE_SUBNET} from its router (${company.speaker.engine})`,
          seen: `after ${time}; REST: by ${route?.nextHops.join(' ')}, AS path ${path}, ${route?.installed ? 'installed' : 'not installed'}`,
          ok: route?.prefix === CORPORATE_SUBNET && route.nextHops[0] === LINK.router && route.installed,
        },
      ];
    }),
  );
  return rows.flat();
}

/** VMs and corporate hosts call each other, all at the same time; everyone must be answered by its own, and seen as it is. */
export async function callCorporate({ companies }: CorporateStage): Promise<Row[]> {
  return Promise.all(
    companies.map(async ({ title, vm, network, vlanId }): Promise<Row> => {
      const host = network.hostAddress();
      const [out, inwards] = await Promise.all([
        ask(vm.namespace, filesAt(host), { count: QUESTIONS }),
        ask(network.host, `tcp:${vm.ip}:${SQL_PORT}`, { count: QUESTIONS }),
      ]);
      return {
        what: `${title}'s ${vm.ip} and ${host} on VLAN ${vlanId}, unasked and both ways`,
        seen: `${host} is ${told(out)}; ${vm.ip} is ${told(inwards)}`,
        ok: isAll(out, network.spec.name, vm.ip) && isAll(inwards, vm.name, host),
      };
    }),
  );
}

/** What the answers say: who answered, and whom it saw. */
function told(answers: readonly (EchoAnswer | null)[]): string {
  const texts = answers.map((answer) =>
    answer ? `'${answer.server}', sees ${answer.address}` : 'no answer',
  );
  return [...new Set(texts)].join(', ');
}

function isAll(answers: readonly (EchoAnswer | null)[], server: string, address: string): boolean {
  return answers.every((answer) => answer?.server === server && answer.address === address);
}

/** Nothing that Contoso says to its router may be heard by the others', whose addresses are the same. */
export async function watchVlans({ companies }: CorporateStage): Promise<Row[]> {
  const [, contoso] = companies;
  const captures = await Promise.all(
    companies.map(({ network }) => Capture.start(network.router, CORPORATE_NIC)),
  );
  await ask(contoso.vm.namespace, filesAt(contoso.network.hostAddress()), { count: QUESTIONS });
  await Promise.all(captures.map((capture) => capture.stop()));
  const heard = await Promise.all(
    captures.map(async (capture) => (await capture.decode('tcp.port == 445', ['ip.src'])).length),
  );
  const [woodgrove = 0, own = 0, fabrikam = 0] = heard;
  return [
    {
      what: "Nothing of Contoso's VLAN in the other VLANs",
      seen: `${own} frames at its own router, ${woodgrove + fabrikam} at the other two`,
      ok: own > 0 && woodgrove + fabrikam === 0,
    },
  ];
}

/** What BGP has told goes routed, and the rest by NAT. */
export async function fetchByNat({ companies: [, , fabrikam] }: CorporateStage): Promise<Row[]> {
  const [routed] = await ask(fabrikam.vm.namespace, filesAt(fabrikam.network.hostAddress()));
  const page = readAnswer(await fabrikam.vm.fetch(`http://${FAR_ADDRESS}/`));
  const seenAs = typeof page === 'string' ? page : page.yourAddress;
  return [
    {
      what: `${fabrikam.title} has NAT as well: ${CORPORATE_SUBNET} is routed, the rest translated`,
      seen: `seen as ${routed?.address ?? 'nobody'} there, and as ${seenAs} on the internet`,
      ok: routed?.address === fabrikam.vm.ip && seenAs === fabrikam.externalAddress,
    },
  ];
}

/** The gateway is killed and started again: BGP's sessions are the same TCP connections, and no ping is lost. */
export async function killGatewayUnderBgp({ gateway, companies }: CorporateStage): Promise<Row[]> {
  const [{ vm, network }] = companies;
  const speakers = companies.flatMap(({ speaker }) => speaker ?? []);
  const sessions = () => Promise.all(speakers.map((speaker) => speaker.connection(LINK.domain)));
  const before = await sessions();
  const [, loss] = await lossDuring(vm.namespace, network.hostAddress(), async () => {
    await gateway.restart('SIGKILL');
    await Promise.all(companies.filter(({ speaker }) => speaker).map(stillLearned));
  });
  const after = await sessions();
  const same = after.filter((session, index) => session !== undefined && session === before[index]).length;
  return [
    {
      what: 'SIGKILL to the gateway: BGP sessions stay, and no packet is lost',
      seen: `${same} of ${before.length} the same TCP connection; ${lossText(loss)}`,
      ok: same === before.length && loss.lost === 0,
    },
  ];
}

async function stillLearned({ domain }: Company): Promise<void> {
  await domain.learns([CORPORATE_SUBNET]);
}
