/** What each tenant can do through the gateway: fetch a page, be reached at a mapped port, ping. */
import { FAR_ADDRESS, INTERNET_ADDRESS } from '../../../test/lab/internet.ts';
import { MAPPED_PORT } from '../../../test/lab/topology.ts';
import type { FetchResult } from '../../../test/lab/vm.ts';
import type { WebAnswer } from '../../../test/lab/web-site.ts';
import type { Row } from '../table.ts';
import type { Stage } from './stage.ts';

/** The web site's answer, or in words why there is none. */
export function readAnswer({ status, body, error }: FetchResult): WebAnswer | string {
  if (status !== 200) return error ?? `HTTP status ${status}`;
  const answer: WebAnswer = JSON.parse(body);
  return answer;
}

/** Every VM 1 has the same address; the page tells under which address the internet sees it. */
export async function fetchPages({ tenants }: Stage): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { title, externalAddress, machines } of tenants) {
    const [vm] = machines;
    const answer = readAnswer(await vm.fetch(`http://${FAR_ADDRESS}/`));
    rows.push({
      what: `${title}'s ${vm.ip} fetches a page as ${externalAddress}`,
      seen: typeof answer === 'string' ? answer : `the page says: you are ${answer.yourAddress}`,
      ok:
        typeof answer !== 'string' && answer.server === 'internet' && answer.yourAddress === externalAddress,
    });
  }
  return rows;
}

/** Both tenants map the same port to the same inner address; each web site tells its VM's name. */
export async function reachMappedPorts({ tenants, internet }: Stage): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { title, externalAddress, machines } of tenants) {
    const [, vm] = machines;
    const answer = readAnswer(await internet.fetch(`http://${externalAddress}:${MAPPED_PORT}/`));
    rows.push({
      what: `${externalAddress}:${MAPPED_PORT} leads to ${title}'s ${vm.ip}:80`,
      seen:
        typeof answer === 'string' ? answer : `'${answer.server}' answers, and sees ${answer.yourAddress}`,
      ok: typeof answer !== 'string' && answer.server === vm.name && answer.yourAddress === INTERNET_ADDRESS,
    });
  }
  return rows;
}

export async function pingInternet({ tenants }: Stage): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { title, machines } of tenants) {
    const [, vm] = machines;
    const { sent, received } = await vm.ping(FAR_ADDRESS);
    rows.push({
      what: `${title}'s ${vm.ip} pings the internet`,
      seen: `${received} of ${sent} answered`,
      ok: received === sent,
    });
  }
  return rows;
}
