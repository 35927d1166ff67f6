import { expect, it } from 'vitest';
import { stateOf } from '../../../src/filesystem/pins/state-xattrs.js';

it.each([
  [null, 10, 0, false, 'remote'],
  [null, 10, 4, false, 'partial'],
  [null, 10, 10, false, 'cached'],
  [null, 0, 0, false, 'cached'],
  [null, 10, 10, true, 'pinned'],
  [null, 10, 4, true, 'partial'],
  [null, 10, 0, true, 'remote'],
  ['waiting', 10, 10, true, 'uploading'],
  ['failed', 10, 10, true, 'failed'],
] as const)('an upload that is %s, %i bytes, %i here, pinned %s: %s', (upload, size, present, isPinned, expected) => {
  expect(stateOf({ upload, size, present, isPinned })).toBe(expected);
});
