/** What a sandbox of Acronis File Sync & Share can be told: size, speed, and which plausible readings it follows. */
import type { Validator } from '../http/validator.js';
import { applyKnown, type CommonOptions, type Speed } from '../options.js';

/** The account's user and the application that asks for him. */
export interface AcronisCredentials {
  username: string;
  password: string;
  clientId: string;
  clientSecret: string;
}

/** Where the document is silent; a client must work under every value. */
export interface AcronisReadings {
  /** Whether refresh tokens are issued, and whether each use makes a new one. */
  refreshTokens: 'rotating' | 'fixed' | 'none';
  /** Whether a token answer says `expires_in`. */
  expiresIn: boolean;
  /** How an application names itself at the token address. */
  clientAuth: 'either' | 'basic' | 'body';
  /** Whether the password grant needs an application. */
  passwordClient: 'optional' | 'required';
  /** Whether the authorization address grants at once instead of showing a page with a button. */
  autoApprove: boolean;
  /** "401 Missing or invalid token" names no body. */
  unauthorizedBody: 'none' | 'error';
  /** Items when `per_page` is not given; 0 is all of them. */
  defaultPerPage: number;
  /** The largest page; 0 is no bound. */
  maxPerPage: number;
  /** A `per_page` over the largest. */
  overMaxPerPage: 'clamped' | 'refused';
  /** The last of several pages: part of the list, or nothing left to retrieve. */
  lastPageStatus: 206 | 200;
  /** A node that is not there: as the call's own table has it, or always one of the two. */
  missingNode: 'documented' | '404' | '403';
  /** A method that the document does not have on a resource that it has. */
  unofferedMethod: 405 | 404 | 403;
  /** No deletion is documented: DELETE on the node, a URL among the node's `actions`, or none at all. */
  deletion: 'node' | 'action' | 'none';
  /** What that action is called; devices have `remove`. */
  deleteAction: 'remove' | 'delete';
  deleteActionMethod: 'DELETE' | 'POST';
  /** Whether deleted nodes stay in their folder's list with `is_deleted`. */
  deletedListed: boolean;
  nameCase: 'insensitive' | 'sensitive';
  /** Whether an upload whose name differs in letter case alone gives the file that name. */
  uploadCase: 'keeps' | 'renames';
  /** "A new revision will be created": of the node that is there, or as a node of its own in that one's place. */
  revisionUuid: 'kept' | 'new';
  /** A `Range` download, which the document does not mention. */
  range: '206' | 'ignored';
  /** What a download says of the version that it is of. */
  validator: Validator;
  /** The `actions.download` of a node: built as in the examples, or an address that cannot be guessed. */
  actionUrls: 'documented' | 'opaque';
  /** `GET /users/{uuid}` may need "administrative permissions". */
  userInfo: 'allowed' | 'forbidden';
  /** Whether moving or renaming sets `file_modification_date`. */
  renameChangesModified: boolean;
}

export const acronisReadings: AcronisReadings = {
  refreshTokens: 'rotating',
  expiresIn: true,
  clientAuth: 'either',
  passwordClient: 'optional',
  autoApprove: false,
  unauthorizedBody: 'none',
  defaultPerPage: 50,
  maxPerPage: 100,
  overMaxPerPage: 'clamped',
  lastPageStatus: 206,
  missingNode: 'documented',
  unofferedMethod: 405,
  deletion: 'node',
  deleteAction: 'remove',
  deleteActionMethod: 'DELETE',
  deletedListed: false,
  nameCase: 'insensitive',
  uploadCase: 'keeps',
  revisionUuid: 'kept',
  range: '206',
  validator: 'etag',
  actionUrls: 'documented',
  userInfo: 'allowed',
  renameChangesModified: false,
};

export interface AcronisSettings extends Speed {
  quotaBytes: number;
  /** Of an access token. */
  tokenLifetimeSeconds: number;
  /** Of a refresh token; 0 is for ever. */
  refreshLifetimeSeconds: number;
  /** Of an authorization code. */
  codeLifetimeSeconds: number;
}

const defaultSettings: AcronisSettings = {
  latencyMs: 0,
  bandwidth: 0,
  // The figure of the document's example of a user.
  quotaBytes: 3_221_225_472,
  tokenLifetimeSeconds: 3600,
  refreshLifetimeSeconds: 0,
  codeLifetimeSeconds: 600,
};

export interface AcronisOptions extends CommonOptions, Partial<AcronisSettings> {
  provider: 'acronis';
  readings?: Partial<AcronisReadings>;
  credentials?: AcronisCredentials;
}

export function acronisSettings(options: AcronisOptions): AcronisSettings {
  return applyKnown({ ...defaultSettings }, options);
}
