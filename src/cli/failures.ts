/** How a command ends when it does not succeed, and what the shell is told. */
import type { ErrorCode } from '../errors.ts';

/** `usage`: called wrongly; nothing has been done. */
export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

/** The command was called wrongly. */
export class UsageError extends Error {
  /** The command whose help explains it; absent when there is no such command. */
  readonly command: string | undefined;

  constructor(message: string, command?: string) {
    super(message);
    this.command = command;
  }
}

/** Body of an error of the API (RFC 9457). A newer node may have codes that this program does not know. */
export interface ProblemBody {
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode | (string & {});
  readonly pointer?: string;
  readonly rule?: string;
}

/** The API refused a request. */
export class ApiProblem extends Error {
  readonly problem: ProblemBody;

  constructor(problem: ProblemBody, message = problem.detail) {
    super(message);
    this.problem = problem;
  }
}
