/** Helpers of the 5sync tests. */
import { systemClock } from '../../../src/base/clock.js';
import type { RemoteFile, RemoteFolder } from '../../../src/providers/provider.js';
import type { MiniFiveSync } from './mini-fivesync.js';

export const folder = (id: string): RemoteFolder => ({
  kind: 'folder',
  id,
  parentId: null,
  name: '',
  modified: 0,
  access: 'write',
  fileCount: null,
  folderCount: null,
});
export const root = folder('/');
export const names = async (mini: MiniFiveSync, path = '/'): Promise<string[]> =>
  (await mini.provider.list(folder(path))).map((entry) => `${entry.kind} ${entry.name}`).sort();
export const fileAt = async (mini: MiniFiveSync, path: string, name: string): Promise<RemoteFile> =>
  (await mini.provider.list(folder(path))).find((entry) => entry.name === name) as RemoteFile;

/** A clock that the test moves, so that polls are due at once. */
export function movableClock() {
  let offset = 0;
  const move = (ms: number): void => {
    offset += ms;
  };
  return { ...systemClock, now: () => Date.now() + offset, monotonic: undefined, move };
}
