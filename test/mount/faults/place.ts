/** The places where faults strike: requests on which an operation depends. Also the description of a service. */
import type { AnySandboxOptions, HostName } from '../../../src/sandbox/index.js';
import type { OperationName } from './operations.js';
import type { Exception, RequestKind, Target, Wordings } from './table.js';

/** One request of one operation. */
export interface Place extends Target {
  readonly operation: OperationName;
  /** The request's part in the operation, if the operation takes several. */
  readonly request: string;
  /** The route, as in the sandbox's log. */
  readonly route: string;
  readonly host?: HostName;
  /** The path of the object in the URL, within the cell's directory (`.` is the directory itself). */
  readonly of?: string;
  /** The URL names an object that the operation has made. */
  readonly ofNew?: boolean;
  /** Leftovers of the operation keep a name of our own until the mount tidies up later. */
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
  /** Its own words for the faults. */
  readonly wordings: Wordings;
  /** It has only the folders that the paths of files imply. Only the mount knows other folders. */
  readonly impliesFolders?: boolean;
}
