import type { Sql, Statement } from '../base/sqlite.js';
import type { Inode } from './inode.js';
import {
  isSamePlace,
  isSameRow,
  overlayOf,
  parametersOf,
  unindexed,
  updateInode,
  updateInodeInPlace,
  updateInodeOverlay,
} from './rows.js';

/** Writes the changes of a row, by the cheapest statement. */
export class RowUpdates {
  readonly #whole: Statement;
  readonly #inPlace: Statement;
  readonly #overlay: Statement;

  constructor(sql: Sql) {
    this.#whole = sql.prepare(updateInode);
    this.#inPlace = sql.prepare(updateInodeInPlace);
    this.#overlay = sql.prepare(updateInodeOverlay);
  }

  /** `after` is `before` with the fields of the third parameter. A write without changes is left out: it would cost as much as others. */
  write(before: Inode, after: Inode, { overlay, ...others }: Partial<Omit<Inode, 'ino'>>): void {
    const isOverlayAlone = overlay !== undefined && Object.keys(others).length === 0;
    const of = isOverlayAlone ? (inode: Inode) => overlayOf(inode.overlay) : parametersOf;
    const [parameters, old] = [of(after), of(before)];
    if (isSameRow(parameters, old)) return;
    const { ino } = before;
    if (isOverlayAlone) this.#overlay.run([...parameters, ino]);
    else if (isSamePlace(parameters, old)) this.#inPlace.run([...unindexed(parameters), ino]);
    else this.#whole.run([...parameters, ino]);
  }
}
