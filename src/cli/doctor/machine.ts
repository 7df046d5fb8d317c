/** What this machine must have so that a node can run on it. */
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { loadConfig, type NodeConfig, standardConfigFile } from '../config-file.ts';
import { certificateFinding, type Finding, messageOf, note, ok, wrong } from './finding.ts';
import { checkNeighbourLimits } from './neighbour-limits.ts';

/** A store grows by a few hundred bytes for each record; SQLite needs the room twice while it works. */
const leastFreeMib = 256;

/** Checks of the machine that the command runs on. */
export async function checkMachine(configFile: string | undefined): Promise<Finding[]> {
  const findings = [...(await checkKernel()), ...checkClock()];
  const file = configFile ?? standardConfigFile;
  if (configFile === undefined && !existsSync(file))
    return [
      ...findings,
      note(
        `There is no configuration ${file}.`,
        'Write one if a node is to run here: hnvgw help gateway and hnvgw help host show what it needs at least.',
      ),
    ];
  try {
    const node = await loadConfig(file);
    findings.push(ok(`${file} is the configuration of a ${node.role}.`));
    if (node.role === 'gateway') findings.push(...(await checkStrongSwan()), await checkFrr());
    return [...findings, ...checkConfigured(node)];
  } catch (error) {
    return [...findings, wrong(messageOf(error), 'Correct the line; hnvgw config check shows the result.')];
  }
}

async function checkKernel(): Promise<Finding[]> {
  if (process.getuid?.() !== 0) return [note('The kernel was not looked at.', 'Only root can; use sudo.')];
  try {
    const [{ ensureBpffs }, { probeFeatures }] = await Promise.all([
      import('../../linux/bpffs.ts'),
      import('../../linux/features.ts'),
    ]);
    ensureBpffs();
    const features = probeFeatures();
    const missing = features.filter(({ present }) => !present);
    const all = ok(
      `The kernel has ${features.length - missing.length} of ${features.length} features that hnvgw uses.`,
    );
    return [
      all,
      ...missing.map(({ name, note: without, since, requirement }) =>
        requirement === 'must'
          ? wrong(`The kernel lacks ${name}: ${without}`, `Take a kernel from ${since} on.`)
          : note(`The kernel lacks ${name}: ${without}`, `Since Linux ${since}.`),
      ),
    ];
  } catch (error) {
    return [
      wrong(`The kernel could not be looked at: ${messageOf(error)}`, 'Install libbpf1 and libnftables1.'),
    ];
  }
}

/** A gateway without it has no site connections. */
async function checkStrongSwan(): Promise<Finding[]> {
  if (process.getuid?.() !== 0) return [];
  try {
    const { ipsecEngine, missingPackages } = await import('../../s2s/engine.ts');
    const engine = ipsecEngine();
    const missing = missingPackages(engine);
    if (missing.length > 0)
      return [
        note(
          'strongSwan is not installed: there can be no site connections.',
          `apt install --no-install-recommends ${missing.join(' ')}`,
        ),
      ];
    const carrier = engine === 'kernel' ? "the kernel's" : 'its own, in userspace';
    return [ok(`strongSwan is there for site connections; ESP is ${carrier}.`)];
  } catch (error) {
    return [wrong(`IPsec could not be looked at: ${messageOf(error)}`)];
  }
}

/** A gateway without it speaks no BGP. */
async function checkFrr(): Promise<Finding> {
  const { isFrrInstalled } = await import('../../forwarding/frr.ts');
  return isFrrInstalled()
    ? ok('FRR is there for BGP.')
    : note('FRR is not installed: there can be no BGP.', 'apt install --no-install-recommends frr');
}

/** Tokens and certificates end by the clock. */
function checkClock(): Finding[] {
  const { stdout, status } = spawnSync('timedatectl', ['show', '--property=NTPSynchronized', '--value'], {
    encoding: 'utf8',
  });
  if (status !== 0) return [];
  if (stdout.trim() === 'yes') return [ok('The clock is synchronized.')];
  return [
    note(
      'The clock is not synchronized, and tokens and certificates end by it.',
      'Run chrony or systemd-timesyncd.',
    ),
  ];
}

function checkConfigured(node: NodeConfig): Finding[] {
  const { store, api, capacity } = node.config;
  const findings: Finding[] = [];
  if (node.role === 'gateway') {
    const { uplink, forwarding } = node.config;
    findings.push(checkInterface(uplink.interface, 'uplink.interface'));
    for (const name of forwarding.interfaces) findings.push(checkInterface(name, 'forwarding.interfaces'));
    if (forwarding.interfaces.length > 0) findings.push(...checkNeighbourLimits(capacity.routingDomains));
  }
  findings.push(checkStore(store.path));
  if (api.tls !== undefined) {
    const { certificateFile } = api.tls;
    try {
      const { validTo } = new X509Certificate(readFileSync(certificateFile));
      findings.push(certificateFinding(certificateFile, validTo));
    } catch (error) {
      findings.push(wrong(`The certificate ${certificateFile} cannot be read: ${messageOf(error)}.`));
    }
  }
  return findings;
}

/** By iproute2: sysfs would show the network namespace of its mount, not this one. */
function checkInterface(name: string, key: string): Finding {
  const { status, stdout } = spawnSync('ip', ['-json', 'link', 'show', 'dev', name], { encoding: 'utf8' });
  if (status !== 0)
    return wrong(
      `There is no interface ${name}, which ${key} names.`,
      `Correct ${key}; ip link shows what there is.`,
    );
  const [link] = JSON.parse(stdout) as { operstate: string }[];
  if (link?.operstate === 'DOWN' || link?.operstate === 'LOWERLAYERDOWN')
    return wrong(`The uplink ${name} is down.`, `ip link set ${name} up, or look at its cable.`);
  return ok(`The uplink ${name} is there.`);
}

function checkStore(path: string): Finding {
  const folder = nearestFolder(path);
  try {
    const { bavail, bsize } = statfsSync(folder);
    const free = Math.floor((bavail * bsize) / 2 ** 20);
    const where = existsSync(path) ? `The store ${path}` : `The store ${path}, which the first start makes,`;
    if (free < leastFreeMib)
      return wrong(`${where} has only ${free} MiB of free space.`, `Make room in ${folder}.`);
    return ok(`${where} has room.`);
  } catch (error) {
    return wrong(`The folder of the store, ${folder}, cannot be used: ${messageOf(error)}.`);
  }
}

function nearestFolder(path: string): string {
  let folder = dirname(path);
  while (!existsSync(folder)) folder = dirname(folder);
  return folder;
}
