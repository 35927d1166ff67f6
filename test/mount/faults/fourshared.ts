/** The requests of 4shared on which each operation depends. */
import {
  again,
  damaged,
  found,
  gone,
  namelessOld,
  outOfTime,
  removed,
  resent,
  shownBefore,
  stale,
  taken,
  undoneBehind,
  undoneLater,
  unnoticed,
} from './exceptions.js';
import { type OperationName, SIMPLE_LIMIT, sizes } from './operations.js';
import { type Group, type Place, place, type Service } from './place.js';
import type { Exception, Wordings } from './table.js';

const namelessOnce: Exception = {
  fault: '404',
  strength: 'once',
  errnos: [],
  because: 'the old file seems to be gone, and its name is taken all the same: it is asked for and replaced again',
};
const overwriting = [removed, again, damaged];

const download = (operation: OperationName, bytes: number, request = '', more: Partial<Place> = {}): Place =>
  place(operation, 'download', 'GET /files/{id}/download', {
    of: 'file',
    bytes,
    request,
    isAskedTwice: request === '',
    ...more,
  });

const groups: readonly Group[] = [
  [
    place('cold ls', 'query', 'GET /folder/{id}/files', { of: 'deep', bytes: 1500, exceptions: [stale] }),
    place('stat of a name', 'query', 'GET /folder/{id}/children', { of: 'deep', bytes: 1000 }),
    download('read a small file', sizes.small),
    download('read a long file', sizes.long, '', { exceptions: [shownBefore] }),
    place('create large', 'change', 'POST /upload', { request: 'start', exceptions: [taken] }),
    place('overwrite', 'upload', 'PUT /files/{id}', { host: 'upload', of: 'file', exceptions: overwriting }),
    place('mkdir', 'change', 'POST /folders'),
    place('rmdir', 'change', 'POST /folders/{id}/trash', { of: 'gone', bodyless: true, exceptions: [gone] }),
    place('rename over a file', 'change', 'PUT /files/{id}', {
      host: 'api',
      of: 'new',
      request: 'aside',
      exceptions: [namelessOld],
    }),
    place('df', 'query', 'GET /user', { isUnasked: true }),
  ],
  [
    download('read at random', sizes.long, '', { exceptions: [unnoticed] }),
    place('create small', 'upload', 'POST /files', { host: 'upload', of: '.', exceptions: [taken] }),
    place('create in chunks', 'upload', 'POST /upload/{id}', { request: 'chunk', exceptions: resent }),
    place('append', 'upload', 'PUT /files/{id}', {
      host: 'upload',
      of: 'file',
      request: 'content',
      exceptions: overwriting,
    }),
    place('unlink', 'change', 'POST /files/{id}/trash', { of: 'file', bodyless: true, exceptions: [gone] }),
    place('rename', 'change', 'PUT /files/{id}', { host: 'api', of: 'file' }),
    place('rename over a file', 'change', 'PUT /files/{id}', {
      host: 'api',
      of: 'file',
      request: 'name',
      exceptions: [undoneLater, ...undoneBehind],
    }),
  ],
  [
    download('append', sizes.small, 'base'),
    place('truncate', 'upload', 'PUT /files/{id}', { host: 'upload', of: 'file', exceptions: overwriting }),
    place('create large', 'change', 'PUT /files/{id}', {
      host: 'api',
      ofNew: true,
      request: 'name',
      exceptions: [taken],
    }),
  ],
  [
    place('create large', 'query', 'GET /files/{id}', { ofNew: true, request: 'verify', exceptions: [taken, found] }),
    place('rename a folder', 'change', 'PUT /folders/{id}', { of: 'old' }),
    place('move', 'change', 'POST /files/{id}/move', { of: 'file' }),
  ],
  [
    place('overwrite large', 'change', 'PUT /files/{id}', {
      host: 'api',
      of: 'file',
      request: 'aside',
      exceptions: [namelessOnce, again, namelessOld, outOfTime],
    }),
    place('rename over a file', 'change', 'POST /files/{id}/trash', {
      of: 'new',
      request: 'dispose',
      bodyless: true,
      isAfterwards: true,
      exceptions: [gone],
    }),
  ],
];

/** The document's codes. */
const wordings: Wordings = {
  '400': { code: '400.0500' },
  '401': { code: '401.0301' },
  '403 quota': { code: '403.0100' },
  '403 permission': { code: '403.0302' },
  '429': { code: '429.0107' },
  '429 with Retry-After': { code: '429.0107' },
  '500': { code: '500.0600' },
};

export const fourShared: Service = {
  groups,
  sandbox: { simpleUploadLimit: SIMPLE_LIMIT },
  wordings,
};
