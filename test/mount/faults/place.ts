/** Where the fault of a cell strikes: a request that an operation depends on. And what a service is made of. */
import type { AnySandboxOptions, HostName } from '../../../src/sandbox/index.js';
import type { OperationName } from './operations.js';
import type { Exception, RequestKind, Target, Wordings } from './table.js';

/** One request of one operation. */
export interface Place extends Target {
  readonly operation: OperationName;
  /** What the request does in it, where the operation takes several. */
  readonly request: string;
  /** As the sandbox's log has it. */
  readonly route: string;
  readonly host?: HostName;
  /** The path in the cell's directory (`.` is that itself) of the object that the URL names. */
  readonly of?: string;
  /** The URL names an object that the operation has made. */
  readonly ofNew?: boolean;
  /** What it leaves for later has a name of its own, until then. */
  readonly isSettledLater?: boolean;
  readonly exceptions?: readonly Exception[];
}

/**
 * Places that are tried in one mount at the same time. No two places of a group have requests of equal route that
 * cannot be told apart by their URL.
 */
export type Group = readonly Place[];

/** Bytes of an answer that tells one object. */
const ONE_ANSWER = 500;

export function place(
  operation: OperationName,
  kind: RequestKind,
  route: string,
  more: Partial<Place> & { readonly request?: string } = {},
): Place {
  return { operation, request: more.request ?? '', kind, route, bytes: ONE_ANSWER, ...more };
}

export interface Service {
  readonly groups: readonly Group[];
  /** The sandbox that the cells are tried on. */
  readonly sandbox: AnySandboxOptions;
  /** How it says no. */
  readonly wordings: Wordings;
  /** Its only folders are those that the paths of files imply: others are known to the mount alone. */
  readonly impliesFolders?: boolean;
}
