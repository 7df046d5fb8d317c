import t from 'tap';
import { parse } from 'yaml';
import { harmless, harmlessJson } from '../../src/cli/harmless.ts';
import { jsonText, yamlText } from '../../src/cli/output.ts';
import { displayWidth, tableLines } from '../../src/cli/table.ts';

interface Row {
  name: string;
  count?: number;
}
const columns = [
  { title: 'NAME', cell: ({ name }: Row) => name },
  { title: 'NOTHING', cell: () => '' },
  {
    title: 'COUNT',
    cell: ({ count }: Row) => (count === undefined ? '' : String(count)),
    align: 'right' as const,
  },
];

/** What a tenant may call itself to rewrite a screen: CSI, OSC, a C1 control, a carriage return, text from right to left. */
const hostileNames = [
  '\x1b[2Jgone',
  '\x1b]0;title\x07',
  '\x9b31mred',
  'a\rb\nc',
  'abc\u202etxt',
  'a\u2028b',
  '\x7f',
  '\u{e0041}',
];

t.test('columns are as wide as their content, and empty ones are left out', async (t) => {
  t.strictSame(
    tableLines(columns, [{ name: 'Contoso', count: 5 }, { name: 'F' }, { name: 'x', count: 123456 }]),
    ['NAME      COUNT', 'Contoso       5', 'F', 'x        123456'],
  );
});

t.test('wide and combining characters take the columns of a terminal', async (t) => {
  for (const [text, width] of [
    ['abc', 3],
    ['日本', 4],
    ['é', 1],
    ['e\u0301', 1],
    ['🚀x', 3],
    ['한', 2],
  ] as const)
    t.equal(displayWidth(text), width, text);
  const [, first = '', second = ''] = tableLines(columns, [
    { name: '日本', count: 1 },
    { name: 'abcd', count: 2 },
  ]);
  t.equal(displayWidth(first), displayWidth(second));
});

t.test('names of tenants reach no terminal as commands, in whatever format', async (t) => {
  const obeyed = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
  for (const name of hostileNames) {
    t.notMatch(tableLines(columns, [{ name }]).join(''), obeyed);
    t.notMatch(harmless(name), obeyed);
    for (const text of [jsonText({ name, [name]: [name] }), await yamlText({ name, [name]: [name] })])
      t.notMatch(text.replaceAll('\n', ''), obeyed);
    t.strictSame(JSON.parse(harmlessJson(JSON.stringify({ name }))), { name }, 'JSON is the same data');
    t.strictSame(
      parse(await yamlText({ name, [name]: [name] })),
      { name, [name]: [name] },
      'YAML is the same data',
    );
  }
  t.equal(harmless('Contoso Größe 日本 🚀'), 'Contoso Größe 日本 🚀');
});
