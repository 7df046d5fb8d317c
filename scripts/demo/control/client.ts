/** Somebody who talks to the gateway's API on its machine: by the command line, and by curl. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandResult } from '../../../test/lab/command.ts';
import type { GatewayNode } from '../../../test/lab/gateway-node.ts';
import type { LabProcess } from '../../../test/lab/process.ts';

const PROGRAM = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

/** Where the gateway listens beside its unix socket. */
export const API_PORT = '127.0.0.1:8080';

export interface HttpAnswer {
  status: number;
  body: string;
}

export class Client {
  readonly #gateway: GatewayNode;
  readonly #token: string | undefined;

  /** With a token over TCP; without one root, over the unix socket. */
  constructor(gateway: GatewayNode, token?: string) {
    this.#gateway = gateway;
    this.#token = token;
  }

  /** Runs `hnvgw` in the folder of the lab; any exit code is a result. */
  hnvgw(...words: string[]): Promise<CommandResult> {
    return this.#gateway.namespace.run(this.#command(words), { env: this.#env });
  }

  /** As hnvgw; answers standard output, and rejects with what it says when it fails. */
  async done(...words: string[]): Promise<string> {
    return (await this.#gateway.namespace.runChecked(this.#command(words), { env: this.#env })).stdout;
  }

  /** Starts an `hnvgw` that goes on until it, or the lab, is ended. */
  spawn(...words: string[]): Promise<LabProcess> {
    return this.#gateway.namespace.spawn(this.#command(words), { env: this.#env });
  }

  /** One request over TCP, by curl. */
  async curl(method: string, path: string, body?: object): Promise<HttpAnswer> {
    const data = body === undefined ? [] : ['--json', JSON.stringify(body)];
    const args = ['-sS', '--noproxy', '*', '-X', method, '-H', '@-', ...data, '-w', '\n%{http_code}'];
    const { stdout } = await this.#gateway.namespace.runChecked(
      ['curl', ...args, `http://${API_PORT}${path}`],
      { input: this.#token === undefined ? '' : `Authorization: Bearer ${this.#token}\n` },
    );
    const end = stdout.lastIndexOf('\n');
    return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
  }

  #command(words: readonly string[]): string[] {
    return ['env', '-C', this.#gateway.namespace.lab.dir, PROGRAM, ...words];
  }

  get #env(): NodeJS.ProcessEnv {
    const { socketPath } = this.#gateway.api;
    return {
      ...withoutHnvgw(process.env),
      // node is found by the first line of the program.
      PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`,
      ...(this.#token === undefined
        ? { HNVGW_SERVER: `unix:${socketPath}` }
        : { HNVGW_SERVER: `http://${API_PORT}`, HNVGW_TOKEN: this.#token }),
    };
  }
}

/** Whom the demo's own user talks to, and as whom, is not the lab's. */
function withoutHnvgw(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('HNVGW_')));
}

/** A file in the folder that `hnvgw` runs in. */
export function fileOf(gateway: GatewayNode, name: string): string {
  return join(gateway.namespace.lab.dir, name);
}

/** The first line of what a command said to people, without the program's name. */
export function reasonOf(stderr: string): string {
  return (stderr.split('\n')[0] ?? '').replace(/^hnvgw: /, '');
}
