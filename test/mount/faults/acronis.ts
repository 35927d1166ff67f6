/** The requests of Acronis on which each operation depends. */
import {
  again,
  gone,
  namelessOld,
  outOfTime,
  removed,
  shownBefore,
  stale,
  taken,
  undoneBehind,
  undoneLater,
  unnoticed,
} from './exceptions.js';
import { type OperationName, sizes } from './operations.js';
import { type Group, type Place, place, type Service } from './place.js';
import type { Exception, Wordings } from './table.js';

/** Bytes of an answer that tells one node, and of a list of three. */
const ONE_NODE = 1200;
const LIST = 3 * ONE_NODE;

const NODE = '/sync_and_share_nodes/{node_uuid}';

const download = (operation: OperationName, bytes: number, more: Partial<Place> = {}): Place =>
  place(operation, 'download', `GET ${NODE}/download`, { of: 'file', bytes, isAskedTwice: true, ...more });
const upload = (operation: OperationName, more: Partial<Place> = {}): Place =>
  place(operation, 'upload', `POST ${NODE}/upload`, { of: '.', bytes: ONE_NODE, ...more });
const list = (operation: OperationName, of: string, more: Partial<Place> = {}): Place =>
  place(operation, 'query', `GET ${NODE}/contents`, { of, bytes: LIST, ...more });
const rename = (operation: OperationName, of: string, more: Partial<Place> = {}): Place =>
  place(operation, 'change', `PUT ${NODE}`, { of, ...more });
const remove = (operation: OperationName, of: string, more: Partial<Place> = {}): Place =>
  place(operation, 'change', `DELETE ${NODE}`, { of, bodyless: true, ...more });

const asksForLess: Exception = {
  fault: '400',
  strength: 'once',
  errnos: [],
  because: 'a page that is refused is asked for in a smaller size',
};

const invalidName: Exception = {
  fault: '400',
  errnos: ['EINVAL'],
  because: '"Object Invalid": of what such a request tells, the name is all that can be',
};
const invalidMove: Exception = {
  fault: '400',
  errnos: ['EACCES'],
  because: 'the name stays, so the place is what is refused',
};

const groups: readonly Group[] = [
  [
    list('cold ls', 'deep', { exceptions: [asksForLess, stale] }),
    list('stat of a name', 'deep', { exceptions: [asksForLess] }),
    download('read a small file', sizes.small),
    download('read a long file', sizes.long, { exceptions: [shownBefore] }),
    download('read at random', sizes.long, { exceptions: [unnoticed] }),
    upload('create small', { exceptions: [invalidName, taken] }),
    upload('create large', { exceptions: [invalidName, taken] }),
    upload('overwrite', { exceptions: [invalidName, removed, again] }),
    upload('append', { request: 'content', exceptions: [invalidName, removed, again] }),
    place('mkdir', 'change', 'POST /sync_and_share_nodes', { bytes: ONE_NODE, exceptions: [invalidName] }),
    remove('rmdir', 'gone', { exceptions: [gone] }),
    remove('unlink', 'file', { exceptions: [gone] }),
    rename('rename', 'file', { exceptions: [invalidName] }),
    rename('rename a folder', 'old', { exceptions: [invalidName] }),
    rename('move', 'file', { request: 'name', exceptions: [invalidName, outOfTime] }),
    rename('rename over a file', 'new', { request: 'aside', exceptions: [invalidName, namelessOld] }),
    place('df', 'query', 'GET /users/{user_uuid}', { isUnasked: true }),
  ],
  [
    upload('create in chunks', { exceptions: [invalidName, taken] }),
    upload('overwrite large', { exceptions: [invalidName, removed, again] }),
    upload('truncate', { exceptions: [invalidName, removed, again] }),
    download('append', sizes.small, { request: 'base', isAskedTwice: false }),
    list('rmdir', 'gone', { request: 'check', exceptions: [asksForLess] }),
    place('move', 'change', `POST ${NODE}/move`, { of: 'file', request: 'move', exceptions: [invalidMove] }),
    rename('rename over a file', 'file', {
      request: 'name',
      exceptions: [invalidName, undoneLater, ...undoneBehind],
    }),
    remove('rename over a file', 'new', { request: 'dispose', isAfterwards: true, exceptions: [gone] }),
  ],
];

const wordings: Wordings = {
  // The document has no code for a full account except the one for "no permission".
  '403 quota': { errnos: ['EACCES'] },
  // The token is renewed.
  '401': { nature: 'passing' },
};

export const acronis: Service = { groups, sandbox: { provider: 'acronis' }, wordings };
