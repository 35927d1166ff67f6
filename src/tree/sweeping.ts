import type { Sql } from '../base/sqlite.js';
import type { FurtherNames } from './further-names.js';
import type { Ino } from './inode.js';
import type { XattrTable } from './xattr-table.js';

/**
 * Removes rows without a name and all rows below them, and files that the service does not have: the process died while it made them. It
 * spares the rows in `needed`, and objects in the trash with all rows below them. The removal includes attributes and further names. Run in
 * a transaction.
 */
export function sweepRows(
  sql: Sql,
  { further, xattrs }: { readonly further: FurtherNames; readonly xattrs: XattrTable },
  needed: ReadonlySet<Ino>,
): void {
  const doomed = sql
    // The account's root has no name either, but the service has it, and in no folder.
    .prepare(
      `WITH RECURSIVE doomed(ino) AS (
         SELECT ino FROM inode WHERE parent IS NULL AND (remote_id IS NULL OR remote_parent IS NOT NULL)
           AND NOT (remote_id IS NOT NULL AND ino IN (SELECT ino FROM trash WHERE ino IS NOT NULL))
         UNION SELECT ino FROM inode WHERE kind = 0 AND remote_id IS NULL
         UNION SELECT inode.ino FROM inode JOIN doomed ON inode.parent = doomed.ino
       ) SELECT ino FROM doomed`,
    )
    .pluck()
    .all() as Ino[];
  const remove = sql.prepare('DELETE FROM inode WHERE ino = ?');
  for (const ino of doomed) {
    if (needed.has(ino)) continue;
    remove.run(ino);
    xattrs.removeAll(ino);
  }
  const count = sql.prepare(
    'UPDATE inode SET further_names = (SELECT COUNT(*) FROM link WHERE link.ino = inode.ino) WHERE ino = ?',
  );
  for (const ino of further.sweep()) count.run(ino);
}
