/** Results of faults for which the rules of the table do not hold, on every service. */
import type { Exception } from './table.js';

export const gone: Exception = {
  fault: '404',
  errnos: [],
  isLie: true,
  because: 'what is gone already needs no removing',
};
export const namelessOld: Exception = {
  fault: '404',
  errnos: ['EEXIST'],
  because: 'the old file is taken for gone, and then turns out to hold the name',
};
export const undoneLater: Exception = {
  fault: '429',
  strength: 'always',
  errnos: ['EIO'],
  isSettledLater: true,
  because: 'the limit is the account’s: undoing has to wait for it too',
};
const ends: readonly (readonly [fault: string, errnos: readonly string[]])[] = [
  ['stall', ['EIO']],
  ['500', ['EIO']],
  ['503', ['EIO']],
  ['reset before the body', ['ENETUNREACH', 'EIO']],
  ['reset in the body', ['ENETUNREACH', 'EIO']],
];
/** Operations that are retried until the time of the call is over. The state after the last try depends on the machine's load. */
export const undoneBehind: readonly Exception[] = ends.map(([fault, errnos]) => ({
  fault,
  strength: 'always',
  errnos,
  isSettledLater: true,
  because: 'the time of the call is over: it is undone behind it',
}));
export const outOfTime: Exception = {
  fault: 'stall before the answer',
  strength: 'always',
  errnos: ['EIO'],
  isSettledLater: true,
  because: 'two requests share the time of one call, and what the second one did is found out behind it',
};
export const removed: Exception = {
  fault: '404',
  strength: 'once',
  errnos: [],
  because: 'a file that was removed at the provider is looked for, and stored anew where it is gone',
};
export const taken: Exception = {
  fault: '409',
  strength: 'once',
  errnos: [],
  because: 'nobody is seen to hold the name, so it is tried again',
};
export const damaged: Exception = {
  fault: 'corrupt byte',
  strength: 'always',
  errnos: ['EIO'],
  isDamaged: true,
  because: 'a small new version takes the place of the old one in one request, damaged as it may be',
};
export const resent = ['400', '404', '409'].map(
  (fault): Exception => ({
    fault,
    strength: 'once',
    errnos: [],
    because: 'a chunk that is refused is sent again as the status of the upload says',
  }),
);
export const found: Exception = { fault: '404', errnos: [], because: 'the file is then found by its name' };
export const stale: Exception = {
  fault: '404',
  errnos: ['ESTALE'],
  because: 'a directory that was opened and is gone must not look like an empty one',
};
export const shownBefore: Exception = {
  fault: 'corrupt byte',
  strength: 'once',
  errnos: ['EIO'],
  because: 'most of a long file was shown before all of it could be compared with its checksum',
};
export const unnoticed: Exception = {
  fault: 'corrupt byte',
  errnos: [],
  isUnnoticed: true,
  because: 'a part of a file has no checksum',
};
export const again: Exception = {
  fault: '409',
  strength: 'once',
  errnos: [],
  because: 'a new version of a file takes no name of another: it is tried again',
};
