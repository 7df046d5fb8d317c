/** Network interfaces of the thread's current namespace by name and by index. */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const if_nametoindex = libc.func('unsigned int if_nametoindex(const char *name)') as unknown as (
  name: string,
) => number;
const if_indextoname = libc.func('void *if_indextoname(unsigned int index, void *name)') as unknown as (
  index: number,
  name: Uint8Array,
) => bigint | null;

/** IF_NAMESIZE: the longest name and its end. */
const NAME_BYTES = 16;

/** The interface's index, or undefined when the current namespace has no interface of that name. */
export function ifindexOf(name: string): number | undefined {
  const index = if_nametoindex(name);
  return index === 0 ? undefined : index;
}

/** The interface's name, or undefined when the current namespace has no interface of that index. */
export function linkName(ifindex: number): string | undefined {
  const name = Buffer.alloc(NAME_BYTES);
  if (if_indextoname(ifindex, name) === null) return undefined;
  return name.toString('utf8', 0, name.indexOf(0));
}
