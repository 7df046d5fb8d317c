/** Tunnels that may not be: who is not who he says, or asks for what the other side does not do. Status says why; what is mended comes up. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Lab } from '../lab/lab.ts';
import { SiteAuthority } from '../lab/site-authority.ts';
import type { SiteCredentials, SiteTunnel } from '../lab/site-config.ts';
import {
  addSite,
  buildSiteDomains,
  type ConnectionBody,
  connectionTo,
  tunnelTo,
} from '../lab/site-domains.ts';
import { until } from '../lab/until.ts';
import { ping } from '../lab/vm.ts';

const EXTERNAL = '198.51.100.101';
const KEY = 'the key of both sides';
/** Names of both sides in their certificates. */
const [CLOUD, OFFICE] = ['cloud.example.com', 'office.example.com'];

/** What of a tunnel that works is wrong. */
interface Fault {
  what: string;
  /** On the gateway's side. */
  authentication?: Record<string, string>;
  connection?: Partial<ConnectionBody>;
  /** On the site's. */
  tunnel?: Partial<SiteTunnel>;
  credentials?: SiteCredentials;
  /** Who finds it out may be the one or the other. */
  begins: 'gateway' | 'site';
  says: RegExp;
}

t.test('authentication of sites', { timeout: 180_000 }, async (t) => {
  const lab = await Lab.create(`s2sa${process.pid}`);
  t.teardown(() => lab.close());
  const built = await buildSiteDomains(lab);
  const [domain] = built.domains;
  const site = await addSite(built, { name: 'west', addresses: ['192.0.2.10'] });
  await domain.putNat(EXTERNAL);

  const passes = async (t: Test, received: 0 | 1) => {
    const pings = await Promise.all([
      domain.vm.ping(site.hostAddress(), 1),
      ping(site.host, domain.vm.ip, 1),
    ]);
    for (const each of pings)
      t.equal(each.received, received, received ? 'traffic passes' : 'nothing passes');
  };

  /** Runs the fault, sees it told and nothing pass, mends the side that was wrong, and sees traffic pass. */
  const tryOut = async (
    t: Test,
    fault: Fault,
    right: { body: ConnectionBody; tunnel: SiteTunnel; credentials?: SiteCredentials },
  ) => {
    const begins = fault.begins === 'site';
    const initiate = begins ? 'never' : 'start';
    const { body, tunnel, credentials } = right;
    const good = { ...body, initiate };
    const authentication = { ...body.authentication, ...fault.authentication };
    await domain.deleteConnection('office');
    await until('nothing is left of the last tunnel', 5_000, async () => !(await site.hasChild('cloud')));
    await site.setTunnels([{ ...tunnel, ...fault.tunnel }], fault.credentials ?? credentials);
    await domain.putConnection('office', { ...good, ...fault.connection, authentication });
    if (begins) await t.rejects(site.initiate('cloud', 3));
    const { lastError = '' } = await domain.reaches(
      'office',
      begins ? 'listening' : 'failed',
      (live) => live.lastError !== undefined,
    );
    t.match(lastError, fault.says);
    t.notMatch(lastError, KEY);
    await passes(t, 0);
    await site.setTunnels([tunnel], credentials);
    if (fault.authentication !== undefined || fault.connection !== undefined)
      await domain.putConnection('office', good);
    if (begins) await site.initiate('cloud');
    await domain.reaches('office', 'connected', () => true, 30_000);
    await passes(t, 1);
  };

  const faults: Fault[] = [
    {
      ...{ what: 'wrong key, found by the site', begins: 'gateway' },
      ...{ tunnel: { key: 'another key' }, says: /authentication failed/i },
    },
    {
      ...{ what: 'wrong key, found by the gateway', begins: 'site' },
      ...{ authentication: { preSharedKey: 'another key' }, says: /authentication failed.*key/i },
    },
    {
      ...{ what: 'wrong id of the site', begins: 'site' },
      ...{ authentication: { remoteId: 'somebody' }, says: /their id.*west/i },
    },
    {
      ...{ what: 'wrong id of the site, which the gateway asks for', begins: 'gateway' },
      ...{ authentication: { remoteId: 'somebody' }, says: /authentication failed/i },
    },
    {
      ...{ what: 'wrong id of the gateway', begins: 'gateway' },
      ...{ authentication: { localId: 'somebody' }, says: /authentication failed/i },
    },
    {
      ...{ what: 'no common proposal of IKE', begins: 'gateway' },
      ...{ tunnel: { proposals: 'aes192-sha512-modp4096' }, says: /no proposal chosen/i },
    },
    {
      ...{ what: 'no common proposal of IKE, found by the gateway', begins: 'site' },
      ...{ tunnel: { proposals: 'aes192-sha512-modp4096' }, says: /no proposal chosen/i },
    },
    {
      ...{ what: 'no common proposal of ESP', begins: 'gateway' },
      ...{ tunnel: { espProposals: 'aes192-sha512' }, says: /no proposal chosen/i },
    },
    {
      ...{ what: 'no common subnets', begins: 'gateway' },
      ...{ connection: { subnets: [{ prefix: '192.168.51.0/24' }] }, says: /subnet|traffic selector/i },
    },
  ];
  const right = { body: connectionTo(site, KEY), tunnel: tunnelTo(EXTERNAL, site, KEY) };

  await t.test('right keys', async (t) => {
    await site.setTunnels([right.tunnel]);
    await domain.putConnection('office', right.body);
    t.match(await domain.reaches('office', 'connected'), {
      ikeSas: [{ remoteId: 'west', localId: EXTERNAL }],
    });
    await passes(t, 1);
  });
  for (const fault of faults) await t.test(fault.what, (t) => tryOut(t, fault, right));

  await t.test('what the site mends, the gateway tries again by itself', async (t) => {
    await site.setTunnels([{ ...right.tunnel, key: 'another key' }]);
    await domain.deleteConnection('office');
    await domain.putConnection('office', right.body);
    await domain.reaches('office', 'failed');
    await site.setTunnels([right.tunnel]);
    await domain.reaches('office', 'connected', () => true, 30_000);
    await passes(t, 1);
  });

  const authority = new SiteAuthority(join(lab.dir, 'ca'), 'Contoso CA');
  const stranger = new SiteAuthority(join(lab.dir, 'other-ca'), 'Fabrikam CA');
  const [cloud, office] = [authority.issue(CLOUD), authority.issue(OFFICE)];
  const expired = authority.issue('expired.example.com', { hasExpired: true });
  const revoked = authority.issue('revoked.example.com');
  authority.revoke('revoked.example.com');
  const credentialsOf = ({ cert, key }: typeof office, from = authority): SiteCredentials => {
    return { certificate: cert, privateKey: key, authority: from.certificate };
  };
  const method = {
    ...{
      method: 'certificate',
      certificate: cloud.cert,
      privateKey: cloud.key,
      localId: CLOUD,
      remoteId: OFFICE,
    },
    ...{ certificateAuthorities: authority.certificate },
  };
  const { key: _, ...tunnel } = { ...right.tunnel, localId: OFFICE, remoteId: CLOUD };
  const certified = {
    ...{ body: { ...right.body, authentication: method }, tunnel, credentials: credentialsOf(office) },
  };
  const certificateFaults: Fault[] = [
    {
      ...{ what: 'expired certificate', begins: 'gateway', says: /expired|not valid|invalid/i },
      ...{ credentials: credentialsOf(expired), authentication: { remoteId: 'expired.example.com' } },
      tunnel: { localId: 'expired.example.com' },
    },
    {
      ...{ what: 'revoked certificate', begins: 'gateway', says: /revoked/i },
      ...{ credentials: credentialsOf(revoked), tunnel: { localId: 'revoked.example.com' } },
      authentication: { remoteId: 'revoked.example.com', revocationLists: authority.revocationList() },
    },
    {
      ...{ what: 'certificate of another authority', begins: 'gateway', says: /authorit|issuer|trust/i },
      credentials: { ...credentialsOf(stranger.issue(OFFICE)), authority: authority.certificate },
    },
    {
      ...{ what: 'certificate of the gateway that the site does not trust', begins: 'gateway' },
      ...{ credentials: credentialsOf(office, stranger), says: /authentication failed/i },
    },
    {
      ...{ what: 'certificate without the id that the site says', begins: 'site', says: /id|certificate/i },
      ...{ tunnel: { localId: 'else.example.com' }, authentication: { remoteId: 'else.example.com' } },
    },
  ];

  await t.test('right certificates', async (t) => {
    await site.setTunnels([certified.tunnel], certified.credentials);
    await domain.putConnection('office', certified.body);
    t.match(await domain.reaches('office', 'connected'), { ikeSas: [{ remoteId: OFFICE, localId: CLOUD }] });
    await passes(t, 1);
  });
  for (const fault of certificateFaults) await t.test(fault.what, (t) => tryOut(t, fault, certified));

  await t.test('a certificate that a current list does not name passes', async (t) => {
    const authentication = { ...method, revocationLists: authority.revocationList() };
    await domain.putConnection('office', { ...certified.body, authentication });
    await domain.reaches('office', 'connected');
    await passes(t, 1);
  });

  await t.test('no secret is to be seen', async (t) => {
    const shown = JSON.stringify(await built.gateway.api.get(`${domain.base}/site-connections`));
    t.match(shown, 'office');
    t.notMatch(shown, /PRIVATE KEY|the key of both/);
    t.notMatch(built.gateway.process.lines.join('\n'), /PRIVATE KEY|the key of both/);
  });
});
