/** The words around act three: what is being shown, and how to look at it from another terminal. */
import { contextNames } from '../../../src/gateway/names.ts';
import { API_PORT } from './client.ts';
import type { ControlStage } from './stage.ts';

export const PICTURE: readonly string[] = [
  'Another gateway, with the same hosts, tenants and internet, is looked after by the command line.',
  '',
  `  root     the unix socket  makes the first token`,
  `  portal   ${API_PORT}   administrator: applies files, backs up, reads the audit log`,
  `  Contoso  ${API_PORT}   tenant: its own routing domain`,
];

/** Commands for another terminal. */
export function lookAround({ gateway, tenants: [contoso] }: ControlStage): string[] {
  const hnvgw = 'dist/cli/main.js';
  const { netns } = contextNames(gateway.instance, contoso.rdid);
  return [
    '  The command line, as root on the gateway (node must be in the PATH)',
    `    export HNVGW_SERVER=unix:${gateway.api.socketPath}`,
    `    ${hnvgw} status`,
    `    ${hnvgw} get policy`,
    `    ${hnvgw} audit`,
    '  What happens, while something is changed by hand in a third terminal',
    `    ${hnvgw} events --follow`,
    `    ip netns exec ${netns} nft flush ruleset`,
  ];
}
