/**
 * The one catalogue of errors: code, HTTP status, whose fault. Codes are stable: portals and tests are written against
 * them. An error carries its code upward unchanged; only the API turns it into a response.
 */

interface ErrorKind {
  /** HTTP status of the answer. */
  readonly status: number;
  /** `user`: the request is wrong. `system`: this node or its kernel is. */
  readonly fault: 'user' | 'system';
  /** Short human-readable summary (RFC 9457 `title`). */
  readonly title: string;
}

export const errorCatalogue = {
  // Requests
  HNV_BAD_REQUEST: { status: 400, fault: 'user', title: 'The request is malformed' },
  HNV_INVALID_FIELD: { status: 400, fault: 'user', title: 'A field breaks a rule' },
  HNV_UNAUTHENTICATED: { status: 401, fault: 'user', title: 'The request has no valid token' },
  HNV_FORBIDDEN: { status: 403, fault: 'user', title: 'The role of the token is not enough' },
  HNV_NOT_FOUND: { status: 404, fault: 'user', title: 'There is no such resource' },
  HNV_METHOD_NOT_ALLOWED: { status: 405, fault: 'user', title: 'The resource has no such method' },
  HNV_CONFLICT: { status: 409, fault: 'user', title: 'The request conflicts with another resource' },
  HNV_IN_USE: { status: 409, fault: 'user', title: 'Another resource still depends on this one' },
  HNV_PRECONDITION_FAILED: { status: 412, fault: 'user', title: 'The resource has changed' },
  HNV_TOO_LARGE: { status: 413, fault: 'user', title: 'The body is too large' },
  HNV_MEDIA_TYPE: { status: 415, fault: 'user', title: 'The body is of a type that is not taken' },
  HNV_TOO_MANY_REQUESTS: { status: 429, fault: 'user', title: 'Too many requests' },
  HNV_CAPACITY: { status: 507, fault: 'system', title: 'This node is full' },
  HNV_INTERNAL: { status: 500, fault: 'system', title: 'Internal error' },
  // Configuration and start
  HNV_CONFIG: { status: 500, fault: 'user', title: 'The configuration is wrong' },
  HNV_STORE: { status: 500, fault: 'system', title: 'The store cannot be used' },
  // Command line
  HNV_INPUT: { status: 400, fault: 'user', title: 'A file given to the command line is wrong' },
  HNV_NO_ANSWER: { status: 503, fault: 'system', title: 'No node answers' },
  // Kernel
  HNV_KERNEL_FEATURE: { status: 500, fault: 'system', title: 'The kernel lacks a feature' },
  HNV_BPF: { status: 500, fault: 'system', title: 'An eBPF operation failed' },
  HNV_NFTABLES: { status: 500, fault: 'system', title: 'An nftables transaction failed' },
  HNV_NETNS: { status: 500, fault: 'system', title: 'A network namespace operation failed' },
  HNV_SITE: { status: 500, fault: 'system', title: 'An IKE daemon failed' },
  HNV_BGP: { status: 500, fault: 'system', title: 'A BGP speaker failed' },
  HNV_IPROUTE2: { status: 500, fault: 'system', title: 'An iproute2 command failed' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorCatalogue;

export interface ErrorDetails {
  /** JSON pointer (RFC 6901) of the field that is wrong, relative to the request body. */
  pointer?: string;
  /** The rule that was broken, as a stable short name, for example `vsid-unique`. */
  rule?: string;
  /**
   * A sentence that the API adds for operators and administrators only, because it names what belongs to another routing
   * domain; `message` must do without.
   */
  forOperators?: string;
  /** The operating system's error, when there was one. */
  cause?: unknown;
}

/** Every error that hnvgw raises on purpose. `message` names the value and the rule in a whole sentence. */
export class HnvError extends Error {
  readonly code: ErrorCode;
  readonly pointer: string | undefined;
  readonly rule: string | undefined;
  readonly forOperators: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HnvError';
    this.code = code;
    this.pointer = details.pointer;
    this.rule = details.rule;
    this.forOperators = details.forOperators;
  }

  get status(): number {
    return errorCatalogue[this.code].status;
  }
}
