/** Where a program of the lab listens: `udp:10.1.1.11:80`, `tcp:[fd00:1::11]:80`. */

export interface Endpoint {
  protocol: string;
  /** Without brackets. */
  address: string;
  port: number;
}

/** Reads an endpoint; throws when it is none. */
export function readEndpoint(text: string): Endpoint {
  const match = /^(udp|tcp):(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  if (!match) throw new Error(`'${text}' is not an endpoint`);
  const [, protocol = '', address6, address4, port] = match;
  return { protocol, address: address6 ?? address4 ?? '', port: Number(port) };
}
