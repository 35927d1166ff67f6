/** The requests of 5sync on which each operation depends. Folders exist only in the mount, and renaming one is EXDEV at once. */
import { again, gone, removed, taken } from './exceptions.js';
import { type OperationName, sizes } from './operations.js';
import { type Group, type Place, place, type Service } from './place.js';
import type { Exception, Wordings } from './table.js';

/** More than the sandbox takes in one request, and small enough for the matrix, bytes. */
const LIMIT = 1_000_000;
/** Two parts of a `long` content. */
const PART = 600_000;

const put = (operation: OperationName, more: Partial<Place> = {}): Place =>
  place(operation, 'upload', 'PUT /files', { ...more });
const download = (operation: OperationName, bytes: number, more: Partial<Place> = {}): Place =>
  place(operation, 'download', 'GET /files/{id}?download', { of: 'file', bytes, isAskedTwice: true, ...more });
const remove = (operation: OperationName, of: string, more: Partial<Place> = {}): Place =>
  place(operation, 'change', 'DELETE /files/{id}', { of, bodyless: true, ...more });

const expired: Exception = {
  fault: '404',
  strength: 'once',
  errnos: [],
  because: 'an upload that the server does not know any more is begun anew',
};
const otherForm: Exception = {
  fault: '400',
  strength: 'once',
  errnos: [],
  because: 'how the parameters travel is not documented: the next form is tried',
};
const untold = ['400', '403 quota', '403 permission'].map(
  (fault): Exception => ({
    fault,
    strength: 'once',
    errnos: [],
    because: 'no error is documented for a name that may not be used twice, so one refusal may mean that: tried again',
  }),
);
const overwriting = [removed, again, ...untold];
const unnamed: Exception = {
  fault: '409',
  errnos: ['EIO'],
  because: 'a request for what is known of a file tells no name that could be taken',
};
/** The file is complete, but nobody can look up the result. */
const verify: Partial<Place> = { request: 'verify', isDone: true };
const notYet: readonly Exception[] = [
  { fault: '404', strength: 'once', errnos: [], because: 'what was just stored may take a while to be found' },
  { fault: '404', strength: 'always', errnos: ['EIO'], because: 'the server contradicts itself' },
];
const unasked = { isUnasked: true };
/** The old file keeps its name until it can be removed. */
const dispose: Partial<Place> = {
  request: 'dispose',
  isAfterwards: true,
  isSettledLater: true,
  exceptions: [{ ...gone, left: { file: 'small' } }],
};

/** No two places of a group store with `PUT /files`, whose URL tells nothing; nor do two that find new files by their id. */
const groups: readonly Group[] = [
  [
    place('cold ls', 'query', 'GET /changes', unasked),
    place('stat of a name', 'query', 'GET /changes', unasked),
    place('df', 'query', 'GET /changes', unasked),
    place('mkdir', 'change', 'GET /changes', unasked),
    place('rmdir', 'change', 'GET /changes', unasked),
    download('read a small file', sizes.small),
    download('read a long file', sizes.long),
    download('read at random', sizes.long),
    // An object that the server only claims to have removed may show again after a poll in between.
    remove('unlink', 'file', { exceptions: [{ ...gone, isSettledLater: true }] }),
  ],
  [
    put('create small', { exceptions: [taken] }),
    place('create in parts', 'change', 'POST /files/multipart/init', {
      request: 'init',
      needsAnswer: true,
      exceptions: [otherForm, taken],
    }),
  ],
  [
    put('overwrite', { request: 'content', exceptions: overwriting }),
    place('create in parts', 'upload', 'PUT /files/multipart/{upload_id}/{part}', {
      request: 'part',
      needsAnswer: true,
      exceptions: [expired, taken],
    }),
  ],
  [
    put('append', { request: 'content', exceptions: overwriting }),
    place('create in parts', 'change', 'POST /files/multipart/{upload_id}/complete', {
      request: 'complete',
      bodyless: true,
      exceptions: [expired, taken],
    }),
  ],
  [put('truncate', { exceptions: overwriting })],
  [
    put('rename', { request: 'copy' }),
    place('overwrite in parts', 'change', 'POST /files/multipart/{upload_id}/complete', {
      request: 'complete',
      bodyless: true,
      exceptions: [expired, again],
    }),
  ],
  [put('rename over a file', { request: 'copy', exceptions: [again] })],
  [put('move', { request: 'copy' })],
  [
    place('create in parts', 'query', 'GET /files/{id}', { ofNew: true, ...verify, exceptions: [unnamed, ...notYet] }),
    place('overwrite', 'query', 'GET /files/{id}', { of: 'file', ...verify, exceptions: [unnamed, ...notYet] }),
    download('append', sizes.small, { request: 'base', isAskedTwice: false }),
  ],
  [
    download('rename', sizes.small, { request: 'source', isAskedTwice: false }),
    download('rename over a file', sizes.small, { request: 'source', isAskedTwice: false }),
    remove('rename', 'file', dispose),
    remove('rename over a file', 'file', dispose),
    remove('move', 'file', dispose),
  ],
];

const wordings: Wordings = {
  // The document has no code for a full account except "forbidden".
  '403 quota': { errnos: ['EACCES'] },
  // It tells no checksum of downloads or of stored content. Only TLS can notice such damage.
  'corrupt byte': { only: [] },
};

export const fiveSync: Service = {
  groups,
  sandbox: {
    provider: '5sync',
    requestsPerHour: 0,
    simpleUploadLimit: LIMIT,
    chunkSize: PART,
    readings: { chunkSize: 'fixed', tooLarge: '413' },
  },
  wordings,
  impliesFolders: true,
};
