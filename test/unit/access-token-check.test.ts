import t from 'tap';
import type { Principal } from '../../src/access/principal.ts';
import { hashSecret, matchesHash, newSecret, readToken, writeToken } from '../../src/access/secret.ts';
import { onRevoked, TokenCheck } from '../../src/access/token-check.ts';
import { openStore } from '../../src/store/sqlite.ts';
import type { StoredToken, TokenTable } from '../../src/store/tokens.ts';
import { until } from '../lab/until.ts';
import { cheapHash, type Test } from './guarded-api.ts';
import { capacity, storePath } from './store-folder.ts';

async function table(t: Test): Promise<TokenTable> {
  const store = await openStore({ path: storePath(t), capacity });
  t.teardown(() => store.close());
  return store.tokens;
}

type Values = Partial<Omit<StoredToken, 'id' | 'revision'>>;

/** Makes a token whose hash costs little; the answer is the token. */
async function make(tokens: TokenTable, id: string, values: Values = {}): Promise<string> {
  const secret = newSecret();
  const created = new Date().toISOString();
  const hash = values.hash ?? cheapHash(secret);
  await tokens.put({ id, role: 'admin', routingDomains: [], created, ...values, hash });
  return writeToken({ id, secret });
}

t.test('a token is read back, also when its id and its secret have underscores', async (t) => {
  const secret = `_${'a'.repeat(41)}_`;
  t.same(readToken(writeToken({ id: 'a_b_', secret })), { id: 'a_b_', secret });
  const wrong = [
    '',
    'hnvgw_',
    `hnvgw__${secret}`,
    `hnvgw_a_${secret}x `,
    `HNVGW_a_${secret}`,
    `hnvgw_a:b_${secret}`,
  ];
  for (const text of wrong) t.equal(readToken(text), undefined, text);
  t.equal(readToken(`hnvgw_${'x'.repeat(65)}_${secret}`), undefined);
  t.match(newSecret(), /^[A-Za-z0-9_-]{43}$/);
});

t.test('a hash is salted, says its cost, and matches its secret alone', async (t) => {
  const secret = newSecret();
  const hash = await hashSecret(secret);
  t.match(hash, /^scrypt\$16384\$8\$1\$[A-Za-z0-9_-]{22}\$[A-Za-z0-9_-]{43}$/);
  t.not(await hashSecret(secret), hash);
  t.equal(await matchesHash(secret, hash), true);
  t.equal(await matchesHash(newSecret(), hash), false);
  for (const broken of ['', 'scrypt', hash.replace('scrypt', 'md5'), hash.replace(/\$[^$]*$/, '$')])
    t.equal(await matchesHash(secret, broken), false, broken);
});

t.test('a token is verified once and then known', async (t) => {
  const tokens = await table(t);
  const check = new TokenCheck(tokens);
  const token = await make(tokens, 'portal', { role: 'tenant', routingDomains: ['a', 'b'] });
  t.equal(check.known(token), undefined);
  const expected = { id: 'portal', role: 'tenant', routingDomains: new Set(['a', 'b']) };
  t.same(await check.verify(token), expected);
  t.same(check.known(token), expected);
  t.equal(check.known(token), check.known(token), 'one principal for all its requests');
});

t.test('a wrong token is refused with the reason, and takes nothing from the right one', async (t) => {
  const tokens = await table(t);
  const check = new TokenCheck(tokens);
  const token = await make(tokens, 'portal');
  await check.verify(token);
  const wrong = writeToken({ id: 'portal', secret: newSecret() });
  t.equal(check.known(wrong), undefined);
  t.same(await check.verify(wrong), { reason: 'token-secret', id: 'portal' });
  t.match(check.known(token), { role: 'admin' });
  t.same(check.known('hnvgw_'), { reason: 'token-form' });
  t.same(check.known(writeToken({ id: 'nobody', secret: newSecret() })), {
    reason: 'token-unknown',
    id: 'nobody',
  });
});

t.test('what becomes of a token holds from the next check on', async (t) => {
  const tokens = await table(t);
  const check = new TokenCheck(tokens);
  const token = await make(tokens, 'portal');
  await check.verify(token);
  const { revision, ...stored } = tokens.all.get('portal') as StoredToken;
  await tokens.put({ ...stored, role: 'operator' });
  t.match(check.known(token), { role: 'operator' }, 'another role');
  await tokens.put({ ...stored, expires: new Date(Date.now() - 1).toISOString() });
  t.same(check.known(token), { reason: 'token-expired', id: 'portal' });
  await tokens.put(stored);
  t.match(check.known(token), { role: 'admin' }, 'prolonged');
  await tokens.delete('portal');
  t.same(check.known(token), { reason: 'token-unknown', id: 'portal' });
  const second = await make(tokens, 'portal');
  t.equal(check.known(token), undefined, 'one of the same name has another secret');
  t.same(await check.verify(token), { reason: 'token-secret', id: 'portal' });
  t.match(await check.verify(second), { id: 'portal' });
});

t.test('a token that is revoked while it is checked is refused', async (t) => {
  const tokens = await table(t);
  const check = new TokenCheck(tokens);
  const secret = newSecret();
  await make(tokens, 'portal', { hash: await hashSecret(secret) });
  const found = check.verify(writeToken({ id: 'portal', secret }));
  (tokens.all as Map<string, StoredToken>).delete('portal');
  t.same(await found, { reason: 'token-unknown', id: 'portal' });
});

t.test('first checks of one token share its hash, others come in turn, and too many are told', async (t) => {
  const tokens = await table(t);
  const check = new TokenCheck(tokens);
  const secret = newSecret();
  await make(tokens, 'portal', { hash: await hashSecret(secret) });
  const same = Array.from({ length: 1_000 }, () => check.verify(writeToken({ id: 'portal', secret })));
  t.equal(check.isBusy, false, 'a thousand checks of one token are one');
  t.ok((await Promise.all(same)).every((found) => 'role' in found));

  const ids = Array.from({ length: 66 }, (_, n) => `t${n}`);
  const all = await Promise.all(ids.map((id) => make(tokens, id)));
  const checks = all.map((token) => check.verify(token));
  t.equal(check.isBusy, true);
  t.same(
    (await Promise.all(checks)).map((found) => 'role' in found && found.id),
    ids,
  );
  t.equal(check.isBusy, false);
});

t.test('whoever follows is told once that its token is changed, removed or has expired', async (t) => {
  const tokens = await table(t);
  const told: string[] = [];
  const watch = (id: string): (() => void) => {
    const principal: Principal = { id, role: 'admin' };
    return onRevoked(tokens, principal, () => told.push(id));
  };
  await make(tokens, 'changed');
  await make(tokens, 'removed');
  await make(tokens, 'stopped');
  await make(tokens, 'expiring', { expires: new Date(Date.now() + 50).toISOString() });
  await make(tokens, 'later', { expires: new Date(Date.now() + 1e11).toISOString() });
  for (const id of ['changed', 'removed', 'expiring', 'local', 'later']) watch(id);
  watch('stopped')();
  await make(tokens, 'changed');
  await make(tokens, 'changed');
  await tokens.delete('removed');
  await tokens.delete('stopped');
  await until('the token has expired', 5_000, () => told.length === 3);
  t.same(told.sort(), ['changed', 'expiring', 'removed']);
  watch('gone already');
  t.equal(told.at(-1), 'gone already');
});
