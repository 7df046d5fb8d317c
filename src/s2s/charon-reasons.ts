/**
 * What of strongSwan's log tells an administrator why there is no tunnel, in words that need no knowledge of strongSwan. The
 * lines are those of one IKE SA; their order is not to be relied on (see charon-words.ts).
 */
import { proposalWords } from './algorithm-words.ts';

/** Of one IKE SA, what it has been about so far. */
export interface Evidence {
  /** What strongSwan said, oldest first. */
  lines: readonly string[];
  /** Address of the site. */
  peer?: string;
  /** Why packets to it could not be sent. */
  sendError?: string;
}

interface Rule {
  /** Of a line that ends an attempt, or a tunnel. */
  sign: RegExp;
  /** Undefined when it was nothing of interest after all. */
  words: (found: RegExpExecArray, evidence: Evidence) => string | undefined;
  /** Nothing that is said along with it matters. */
  isWhole?: true;
}

/** The first one that fits is the reason. */
const RULES: readonly Rule[] = [
  { sign: /^parsed INFORMATIONAL request \d+ \[ N\(AUTH_FAILED\) \]$/, words: refused },
  { sign: /^received AUTHENTICATION_FAILED notify error$/, words: refused },
  {
    sign: /^tried \d+ shared keys? for '.*' - '(.*)', but MAC mismatched$/,
    words: ([, id]) => authentication(`the pre-shared key of '${id}' is another one than ours`),
  },
  {
    sign: /^no shared key found for '.*' - '(.*)'$/,
    words: ([, id]) => authentication(`their id is '${id}', for which there is no pre-shared key`),
  },
  { sign: /^no matching peer config found$/, words: (_, evidence) => authentication(unknownIds(evidence)) },
  {
    sign: /^no trusted \S+ public key found for '(.*)'$/,
    words: ([, id = ''], evidence) => authentication(distrust(id, evidence)),
  },
  { sign: /^no alternative config found$/, words: (_, evidence) => authentication(mismatch(evidence)) },
  {
    sign: /^no private key found for '(.*)'$/,
    words: ([, id]) => authentication(`our private key does not belong to the certificate of '${id}'`),
  },
  { sign: /^received proposals unacceptable$/, words: (_, evidence) => noCommonProposal(evidence) },
  { sign: /^no acceptable proposal found$/, words: (_, evidence) => noCommonProposal(evidence) },
  {
    sign: /^received NO_PROPOSAL_CHOSEN notify error$/,
    words: () =>
      'no proposal chosen: the site accepts nothing of our mainMode, or knows no peer at our address',
  },
  {
    sign: /^received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built$/,
    words: () => 'no proposal chosen: the site accepts nothing of our quickMode',
  },
  {
    sign: /^received TS_UNACCEPTABLE notify, no CHILD_SA built$/,
    words: () => 'prefixes differ: the site has no tunnel between our localSubnets and subnets',
  },
  {
    sign: /^traffic selectors (.*) === (.*) unacceptable$/,
    words: ([, ours, theirs]) =>
      `prefixes differ: the site asks for a tunnel between ${ours} on our side and ${theirs} on its own`,
  },
  {
    sign: /^no acceptable traffic selectors found$/,
    words: () => 'prefixes differ: the site has answered with others than our localSubnets and subnets',
  },
  {
    sign: /^no IKE config found for (\S+)\.\.\.(\S+), sending /,
    words: ([, ours, theirs]) =>
      `${theirs} wants a tunnel with ${ours}, between which there is no connection`,
  },
  {
    sign: /^unable to install .* in kernel$/,
    words: (_, evidence) =>
      `ESP cannot be set up here${because(evidence, /^(?: *IPsec SA: |failed to )(.*)$/)}`,
  },
  {
    sign: /^giving up after \d+ (?:retransmits|path probings)$/,
    words: (_, evidence) => silence(evidence),
    isWhole: true,
  },
  {
    sign: /^received (\S+) notify(?: error|, no CHILD_SA built)$/,
    words: ([, what]) => `the site answers ${what}`,
  },
  {
    sign: /^deleting (?:IKE|CHILD)_SA after (\d+) seconds of (?:CHILD_SA )?inactivity$/,
    words: ([, seconds]) => `taken down after ${seconds} seconds without a packet`,
  },
  {
    sign: /^received DELETE for IKE_SA /,
    words: (_, evidence) =>
      find(evidence, /^IKE_SA \S+ rekeyed /) === undefined ? 'the site has ended the tunnel' : undefined,
  },
];

/** When a reason is known that this line tells of: now, or when what was said along with it is here, too. */
export function tells(line: string): 'now' | 'soon' | undefined {
  const rule = RULES.find(({ sign }) => sign.test(line));
  return rule && (rule.isWhole ? 'now' : 'soon');
}

export function reasonOf(evidence: Evidence): string | undefined {
  for (const { sign, words } of RULES) {
    const found = find(evidence, sign);
    if (found !== undefined) return words(found, evidence);
  }
  return undefined;
}

function authentication(why: string): string {
  return `authentication failed: ${why}`;
}

function refused(_: RegExpExecArray, evidence: Evidence): string {
  const [, id, by] = find(evidence, /^authentication of '(.*)' \(myself\) with (.*)$/) ?? [];
  if (id === undefined) return authentication('the site rejects our id, or its proof');
  const proof = by === 'pre-shared key' ? 'pre-shared key' : 'certificate';
  // Who begins also asks for the other one by its id.
  return authentication(
    find(evidence, /^received AUTHENTICATION_FAILED /) === undefined
      ? `the site rejects our id '${id}' or our ${proof}`
      : `the site rejects our id '${id}', the id that we ask it for, or our ${proof}`,
  );
}

/** strongSwan looks for connections by the addresses and what both sides are called. */
function unknownIds(evidence: Evidence): string {
  const looking = /^looking for peer configs matching (\S+?)\[(.*)\]\.\.\.\S+?\[(.*)\]$/;
  const [, ours, wanted, theirs] = find(evidence, looking) ?? [];
  if (theirs === undefined) return 'their id is not one of a connection';
  const asked = wanted === '%any' ? '' : `, and they ask for '${wanted}'`;
  return `their id is '${theirs}'${asked}: no connection of ${ours} has that`;
}

/** Why a certificate, or a signature, is not believed. */
function distrust(id: string, evidence: Evidence): string {
  const validity = find(evidence, /^(subject|issuer) certificate invalid \(valid from (.*) to (.*)\)$/);
  if (validity !== undefined) {
    const [, which, from = '', to = ''] = validity;
    const whose = which === 'issuer' ? 'the certificate of the authority' : 'the certificate';
    return Date.now() > Date.parse(to)
      ? `${whose} of '${id}' has expired on ${to}`
      : `${whose} of '${id}' is not valid before ${from}`;
  }
  const revoked = find(evidence, /^certificate was revoked on (.*), reason: (.*)$/);
  if (revoked !== undefined) return `the certificate of '${id}' was revoked on ${revoked[1]} (${revoked[2]})`;
  const issuer =
    find(evidence, /^ *issuer is "(.*)"$/) ??
    find(evidence, /^ *self-signed certificate "(.*)" is not trusted$/);
  if (issuer !== undefined)
    return `the certificate of '${id}' comes from '${issuer[1]}', which certificateAuthorities do not lead to`;
  if (find(evidence, /^signature validation failed/) !== undefined)
    return `the private key of '${id}' does not belong to its certificate`;
  const shown = find(evidence, /^received end entity cert "(.*)"$/);
  if (shown === undefined) return `'${id}' has shown no certificate`;
  if (find(evidence, /^ *using (?:trusted )?certificate /) === undefined)
    return `their id is '${id}', which is not in their certificate, of '${shown[1]}'`;
  return `the certificate of '${id}' cannot be trusted`;
}

/** They have proved who they are, but that is not what the connection asks for. */
function mismatch(evidence: Evidence): string {
  const who = find(evidence, /^authentication of '(.*)' with .* successful$/)?.[1] ?? evidence.peer;
  const wanted = find(evidence, /^constraint check failed: \w*\s*identity '(.*)' required *$/);
  if (wanted !== undefined) return `their id is '${who}', remoteId is '${wanted[1]}'`;
  const status = find(evidence, /^constraint check failed: RULE_CRL_VALIDATION is (\w+), /);
  if (status?.[1] === 'STALE')
    return `the revocation list for the certificate of '${who}' has expired${because(evidence, /^ *crl is stale: (since .*)$/)}`;
  if (status !== undefined)
    return `there is no revocation list for the certificate of '${who}', or for one that it comes from`;
  if (find(evidence, /^constraint check failed: peer not authenticated by CA /) !== undefined)
    return `the certificate of '${who}' comes from another authority than certificateAuthorities`;
  const method = find(evidence, /^constraint requires (.*) authentication, but (.*) was used$/);
  if (method !== undefined) return `they prove their id by ${method[2]}, this connection wants ${method[1]}`;
  return `'${who}' is not who this connection is with`;
}

function noCommonProposal(evidence: Evidence): string {
  const offered = find(evidence, /^received proposals: (\w+):(.*)$/);
  const wanted = find(evidence, /^configured proposals: \w+:(.*)$/);
  if (offered === undefined || wanted === undefined)
    return 'no proposal chosen: the site offers nothing that we accept';
  const mode = offered[1] === 'ESP' ? 'quickMode' : 'mainMode';
  return `no proposal chosen: the site offers ${proposalWords(offered[2] ?? '')}; our ${mode} has ${proposalWords(wanted[1] ?? '')}`;
}

function silence({ peer = 'the site', sendError }: Evidence): string {
  return `${peer} does not answer${sendError === undefined ? '' : `; packets to it could not be sent: ${sendError}`}`;
}

function because(evidence: Evidence, pattern: RegExp): string {
  const found = find(evidence, pattern);
  return found === undefined ? '' : `: ${found[1]}`;
}

/** The last one: an SA that tries again and again has said it before. */
function find({ lines }: Evidence, pattern: RegExp): RegExpExecArray | undefined {
  for (const line of lines.toReversed()) {
    const found = pattern.exec(line);
    if (found !== null) return found;
  }
  return undefined;
}
