/** Which ESP carries the tunnels of this node, and whether strongSwan is there with all that it takes. */
import { existsSync } from 'node:fs';
import { hasKernelEsp, hasXfrmInterfaces } from '../linux/xfrm.ts';

/** `kernel`: the kernel's, through an xfrm interface. `userspace`: strongSwan's own (kernel-libipsec), through a TUN link. */
export type IpsecEngine = 'kernel' | 'userspace';

export const CHARON = '/usr/sbin/charon-systemd';
const PLUGINS = '/usr/lib/ipsec/plugins';

/** Debian's packages, and a file of each that shows that it is there. */
const PACKAGES = [
  { name: 'charon-systemd', file: CHARON },
  { name: 'libstrongswan-standard-plugins', file: `${PLUGINS}/libstrongswan-openssl.so` },
  {
    name: 'libcharon-extra-plugins',
    file: `${PLUGINS}/libstrongswan-kernel-libipsec.so`,
    only: 'userspace' as const,
  },
];

let found: IpsecEngine | undefined;

/** The kernel's when it has all that is needed. Probed once. Throws HNV_NETNS without root. */
export function ipsecEngine(): IpsecEngine {
  found ??= hasKernelEsp() && hasXfrmInterfaces() ? 'kernel' : 'userspace';
  return found;
}

/** Debian packages of strongSwan that the engine needs and that are not installed. */
export function missingPackages(engine: IpsecEngine): string[] {
  return PACKAGES.filter(({ file, only }) => (only ?? engine) === engine && !existsSync(file)).map(
    ({ name }) => name,
  );
}
