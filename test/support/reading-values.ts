/** Every value of every reading of the sandboxes. The compiler reports a new reading that is missing here. */
import type { WireReadings } from '../../src/sandbox/http/wire.js';
import type { AcronisReadings, FiveSyncReadings, Readings } from '../../src/sandbox/index.js';

type Values<R> = { readonly [Name in keyof R]: readonly R[Name][] };

const wireValues: Values<WireReadings> = {
  interim: ['none', '100', '103'],
  connections: ['kept', 'closed'],
  lengths: ['told', 'untold'],
  coding: ['identity', 'gzip'],
  dates: ['utc', 'offset', 'number'],
};

export const fourSharedValues: Values<Readings> = {
  ...wireValues,
  folderPaths: ['both', 'folder', 'folders'],
  statusPath: ['both', 'status', 'bare'],
  childrenShape: ['object', 'array'],
  rangeAnswer: ['206', '200', 'ignored'],
  validator: ['etag', 'last-modified', 'none'],
  downloadRedirect: [false, true],
  chunkStatus: [308, 200, 201, 202],
  chunkOrder: ['any', 'sequential'],
  partialChunks: ['discarded', 'kept'],
  completedBody: ['empty', 'file'],
  chunkAfterCompletion: ['created', 'gone'],
  uploadExistingName: ['conflict', 'new-version'],
  uploadMinimum: ['any', 'over-limit'],
  incompleteListed: [true, false],
  incompleteHoldsName: [true, false],
  updateRequiresNames: [true, false],
  emptyContent: ['stored', 'refused'],
  updateNames: ['apply', 'ignore'],
  moveKeepsId: [true, false],
  renameChangesModified: [false, true],
  contentChangesFolderModified: [true, false],
  deleteGoesTo: ['nowhere', 'trash'],
  counts: ['exact', 'lagging', 'zero'],
  md5: ['immediate', 'after-upload', 'never'],
  userFilesOrder: ['newest-first', 'oldest-first'],
  trashPaging: ['whole', 'paged'],
  nameCase: ['sensitive', 'insensitive'],
  verifier: ['used', 'unused'],
  autoApprove: [false, true],
  storedNames: ['asked', 'cleaned', 'folded'],
  toldNames: ['kept', 'asked'],
};

export const fiveSyncValues: Values<FiveSyncReadings> = {
  ...wireValues,
  order: ['ascending', 'descending'],
  maxLimit: [100, 50],
  downloadRedirect: [false, true],
  pathFilter: ['exact', 'recursive'],
  listItems: ['full', 'no-path', 'brief'],
  limitOver100: ['refused', 'clamped'],
  tooLarge: ['400', '413'],
  emptyContent: ['stored', 'refused'],
  existingName: ['new-version', 'new-id', 'duplicate', 'renamed', '409', '400', '403'],
  initBody: ['both', 'json', 'form', 'query'],
  multipartPath: ['field', 'filename', 'root'],
  chunkSize: ['from-parts', 'fixed'],
  completeAgain: ['gone', 'repeats'],
  range: ['206', 'ignored'],
  validator: ['etag', 'last-modified', 'none'],
  cursor: ['ignored', 'usable', 'refused'],
  since: ['inclusive', 'exclusive'],
  timestamps: ['seconds', 'milliseconds'],
  changesLagSeconds: [0, 20],
  clockSkewSeconds: [0, 900, -900],
  rateReset: ['next', 'whole'],
  retryAfter: [false, true],
  storedNames: ['asked', 'cleaned', 'folded'],
  toldNames: ['kept', 'asked'],
};

export const acronisValues: Values<AcronisReadings> = {
  ...wireValues,
  pastEnd: ['empty', '404'],
  checksum: ['immediate', 'after-upload', 'never'],
  downloadRedirect: [false, true],
  refreshTokens: ['rotating', 'fixed', 'none'],
  expiresIn: [true, false],
  clientAuth: ['either', 'basic', 'body'],
  passwordClient: ['optional', 'required'],
  autoApprove: [false, true],
  unauthorizedBody: ['none', 'error'],
  defaultPerPage: [50, 10, 0],
  maxPerPage: [100, 20, 0],
  overMaxPerPage: ['clamped', 'refused'],
  lastPageStatus: [206, 200],
  missingNode: ['documented', '404', '403'],
  unofferedMethod: [405, 404, 403],
  deletion: ['node', 'action', 'none'],
  deleteAction: ['remove', 'delete'],
  deleteActionMethod: ['DELETE', 'POST'],
  deletedListed: [false, true],
  nameCase: ['insensitive', 'sensitive'],
  emptyContent: ['stored', 'refused'],
  uploadCase: ['keeps', 'renames'],
  revisionUuid: ['kept', 'new'],
  range: ['206', 'ignored'],
  validator: ['etag', 'last-modified', 'none'],
  actionUrls: ['documented', 'opaque'],
  userInfo: ['allowed', 'forbidden'],
  renameChangesModified: [false, true],
  storedNames: ['asked', 'cleaned', 'folded'],
  toldNames: ['kept', 'asked'],
};

/** A provider alone cannot handle these values. The layers above it do, and the tests of these values are in `test/mount`. */
const aboveProvider: Readonly<Record<string, unknown>> = {
  // test/mount/uploads/refused-content.test.ts
  emptyContent: 'refused',
  // A file is not found under the name that it was given: test/mount/names/changed-names.test.ts
  storedNames: 'folded',
};

/** The values that a provider handles by itself. */
export function ofProvider<R extends object>(values: Values<R>): Values<R> {
  const kept = Object.entries<readonly unknown[]>(values).map(([name, all]) => [
    name,
    all.filter((value) => value !== aboveProvider[name]),
  ]);
  return Object.fromEntries(kept) as Values<R>;
}
