import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { BpfMap } from '../../src/linux/bpf-map.ts';
import { BpfObject, BpfProgram } from '../../src/linux/bpf-object.ts';
import { ensureBpffs } from '../../src/linux/bpffs.ts';
import { compileFixture } from './fixtures/compile.ts';

ensureBpffs();
const path = compileFixture(t, 'linux-drivers');
const key = new Uint8Array([1, 0, 0, 0]);
const value = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);

let directories = 0;
function pinDirectory(): string {
  const directory = `/sys/fs/bpf/hnvt${process.pid}_${directories++}`;
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function load(options: { pins?: string; size?: number } = {}): BpfObject {
  const object = BpfObject.open(path);
  t.teardown(() => object.close());
  if (options.size !== undefined) object.setMaxEntries('test_hash', options.size);
  if (options.pins !== undefined) object.pinMaps(options.pins);
  object.load();
  return object;
}

t.test(
  'maps and programs of an object are found by name, with the identity that the kernel reports',
  async (t) => {
    const object = load();
    t.same(
      object
        .maps()
        .map((map) => map.name)
        .sort(),
      ['test_array', 'test_cpu_array', 'test_cpu_hash', 'test_events', 'test_hash', 'test_lpm'],
    );
    t.equal(object.programs().length, 8);
    const program = object.program('test_tc_pass');
    const shown = JSON.parse(
      execFileSync('bpftool', ['-j', 'prog', 'show', 'id', String(program.id)], { encoding: 'utf8' }),
    );
    t.match(shown, { id: program.id, tag: program.tag, name: 'test_tc_pass' });
    t.throws(() => object.map('nope'), { code: 'HNV_BPF', message: /no loaded map nope/ });
    t.throws(() => object.program('nope'), { code: 'HNV_BPF', message: /no loaded program nope/ });
    t.throws(() => object.setMaxEntries('nope', 1), { code: 'HNV_BPF', message: /no map nope/ });
  },
);

t.test('the tag is of the code: equal for two loads, another for another program', async (t) => {
  const [first, second] = [load(), load()];
  t.not(first.program('test_tc_pass').id, second.program('test_tc_pass').id);
  t.equal(first.program('test_tc_pass').tag, second.program('test_tc_pass').tag);
  t.not(first.program('test_tc_pass').tag, first.program('test_tc_drop').tag);
});

t.test('a file that is missing or is no object is refused by name', async (t) => {
  t.throws(() => BpfObject.open('/nope.bpf.o'), { code: 'HNV_BPF', message: /\/nope\.bpf\.o.*ENOENT/ });
  const file = join(dirname(path), 'text.o');
  writeFileSync(file, 'not an object');
  t.throws(() => BpfObject.open(file), { code: 'HNV_BPF', message: /text\.o/ });
});

t.test('a program that the verifier refuses is named, with the end of the verifier log', async (t) => {
  const object = BpfObject.open(compileFixture(t, 'linux-refused'));
  t.teardown(() => object.close());
  t.throws(() => object.load(), {
    code: 'HNV_BPF',
    message: /refuses program test_unchecked .*EACCES.*invalid access to packet/s,
  });
});

t.test('pinned maps keep their contents from one load to the next', async (t) => {
  const pins = pinDirectory();
  const first = load({ pins });
  const { id } = first.map('test_hash');
  first.map('test_hash').update(key, value);
  first.close();
  const second = load({ pins });
  t.equal(second.map('test_hash').id, id);
  t.same(second.map('test_hash').lookup(key), value);
  t.same(
    readdirSync(pins).sort(),
    second
      .maps()
      .map((map) => map.name)
      .sort(),
  );
});

t.test('a map whose pin is missing is created beside those that are adopted', async (t) => {
  const pins = pinDirectory();
  const first = load({ pins });
  first.map('test_hash').update(key, value);
  rmSync(join(pins, 'test_lpm'));
  const second = load({ pins });
  t.same(second.map('test_hash').lookup(key), value);
  t.not(second.map('test_lpm').id, first.map('test_lpm').id);
  t.equal(BpfMap.openPinned(join(pins, 'test_lpm'))?.id, second.map('test_lpm').id);
});

t.test('a pinned map of another shape is refused, with the map and both shapes in the message', async (t) => {
  const pins = pinDirectory();
  load({ pins, size: 16 });
  t.throws(() => load({ pins, size: 32 }), {
    code: 'HNV_BPF',
    message: /pinned at .*test_hash is \(.*16 entries.*test_hash must be \(.*32 entries/,
  });
});

t.test(
  'a pinned map is opened by path; nothing there is undefined; a program there is refused',
  async (t) => {
    const pins = pinDirectory();
    const object = load({ pins });
    const map = BpfMap.openPinned(join(pins, 'test_array'));
    t.equal(map?.id, object.map('test_array').id);
    t.equal(map?.name, 'test_array');
    map?.close();
    t.equal(BpfMap.openPinned(join(pins, 'nope')), undefined);
    object.program('test_tc_pass').pin(join(pins, 'program'));
    t.throws(() => BpfMap.openPinned(join(pins, 'program')), { code: 'HNV_BPF', message: /not a map/ });
    t.throws(() => BpfProgram.openPinned(join(pins, 'test_array')), {
      code: 'HNV_BPF',
      message: /not a program/,
    });
  },
);

t.test('a program outlives its object by its pin, and a new pin takes the old one’s place', async (t) => {
  const pins = pinDirectory();
  const object = load({ pins });
  const pin = join(pins, 'program');
  t.equal(BpfProgram.openPinned(pin), undefined);
  const ids = ['test_tc_pass', 'test_tc_drop'].map((name) => {
    object.program(name).pin(pin);
    const opened = BpfProgram.openPinned(pin);
    t.equal(opened?.id, object.program(name).id);
    opened?.close();
    return opened?.id;
  });
  object.close();
  const survivor = BpfProgram.openPinned(pin);
  t.match(survivor, { id: ids[1], name: 'test_tc_drop' });
  survivor?.close();
});
