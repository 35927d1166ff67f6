/** The options of an Acronis File Sync & Share sandbox: size, speed, and which plausible reading of the document it follows. */
import type { StoredNames, ToldNames } from '../content/stored-names.js';
import type { Validator } from '../http/validator.js';
import { type WireReadings, wireReadings } from '../http/wire.js';
import { applyKnown, type CommonOptions, type Speed } from '../options.js';

/** The account's user, and the application that acts for him. */
export interface AcronisCredentials {
  username: string;
  password: string;
  clientId: string;
  clientSecret: string;
}

/** Behaviour that the document leaves open. A client must work with every value. */
export interface AcronisReadings extends WireReadings {
  /** Whether refresh tokens are issued, and whether each use makes a new one. */
  refreshTokens: 'rotating' | 'fixed' | 'none';
  /** Whether a token answer contains `expires_in`. */
  expiresIn: boolean;
  /** How an application authenticates at the token endpoint. */
  clientAuth: 'either' | 'basic' | 'body';
  /** Whether the password grant needs an application. */
  passwordClient: 'optional' | 'required';
  /** Whether the authorization endpoint grants at once, without a page with a button. */
  autoApprove: boolean;
  /** Whether a 401 has a body: "401 Missing or invalid token" does not say. */
  unauthorizedBody: 'none' | 'error';
  /** Items of a page without `per_page`. 0: all of them. */
  defaultPerPage: number;
  /** Items of the largest page. 0: no limit. */
  maxPerPage: number;
  /** What happens to a `per_page` above that limit. */
  overMaxPerPage: 'clamped' | 'refused';
  /** The status of the last of several pages: 206 (a part of the list) or 200 (nothing is left). */
  lastPageStatus: 206 | 200;
  /** The answer to a page behind the last one. */
  pastEnd: 'empty' | '404';
  /** `checksum`: at once, empty in the answer to the upload but there afterwards, or always empty. */
  checksum: 'immediate' | 'after-upload' | 'never';
  /** Whether downloads redirect (302), to another address of the same host. */
  downloadRedirect: boolean;
  /** The status for a missing node: as in the call's own table, or always the same one. */
  missingNode: 'documented' | '404' | '403';
  /** The status for an undocumented method of a documented resource. */
  unofferedMethod: 405 | 404 | 403;
  /** No deletion is documented. It is a DELETE on the node, a URL in the node's `actions`, or does not exist. */
  deletion: 'node' | 'action' | 'none';
  /** The name of that action. Devices have `remove`. */
  deleteAction: 'remove' | 'delete';
  deleteActionMethod: 'DELETE' | 'POST';
  /** Whether deleted nodes stay in their folder's list with `is_deleted`. */
  deletedListed: boolean;
  nameCase: 'insensitive' | 'sensitive';
  /** Whether a file may be empty. */
  emptyContent: 'stored' | 'refused';
  /** Whether an upload under a name that differs only in letter case renames the file. */
  uploadCase: 'keeps' | 'renames';
  /** "A new revision will be created": of the existing node, or as a new node that replaces it. */
  revisionUuid: 'kept' | 'new';
  /** How a download answers `Range`, which the document does not mention. */
  range: '206' | 'ignored';
  /** Which header of a download identifies the version. */
  validator: Validator;
  /** The `actions.download` of a node: as in the examples, or an address that a client cannot guess. */
  actionUrls: 'documented' | 'opaque';
  /** `GET /users/{uuid}` may need "administrative permissions". */
  userInfo: 'allowed' | 'forbidden';
  /** Whether moving or renaming sets `file_modification_date`. */
  renameChangesModified: boolean;
  /** Whether the service changes names that it does not like, without a word. */
  storedNames: StoredNames;
  /** Whether the answer to such a change tells the name. */
  toldNames: ToldNames;
}

export const acronisReadings: AcronisReadings = {
  ...wireReadings,
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
  pastEnd: 'empty',
  checksum: 'immediate',
  downloadRedirect: false,
  missingNode: 'documented',
  unofferedMethod: 405,
  deletion: 'node',
  deleteAction: 'remove',
  deleteActionMethod: 'DELETE',
  deletedListed: false,
  nameCase: 'insensitive',
  emptyContent: 'stored',
  uploadCase: 'keeps',
  revisionUuid: 'kept',
  range: '206',
  validator: 'etag',
  actionUrls: 'documented',
  userInfo: 'allowed',
  renameChangesModified: false,
  storedNames: 'asked',
  toldNames: 'kept',
};

export interface AcronisSettings extends Speed {
  quotaBytes: number;
  /** Lifetime of an access token. */
  tokenLifetimeSeconds: number;
  /** Lifetime of a refresh token. 0: unlimited. */
  refreshLifetimeSeconds: number;
  /** Lifetime of an authorization code. */
  codeLifetimeSeconds: number;
}

const defaultSettings: AcronisSettings = {
  latencyMs: 0,
  bandwidth: 0,
  // The value in the document's example of a user.
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
