/** Held files with `--metadata local`: empty files that the service refuses are rows of the inode table only. */
import type { Sql, Statement } from '../../base/sqlite.js';
import { entryOnlyFile, entryOnlyPrefix, isEntryOnly } from '../../metadata/held/entry-only.js';
import type { Held, HeldObject } from '../../metadata/held/held-files.js';
import type { RemoteFile, RemoteRef } from '../../providers/provider.js';

interface Row {
  readonly id: string;
  readonly parentId: string;
  readonly name: string;
  readonly modified: number | null;
}

export class LocalHeldFiles implements Held {
  readonly #inFolder: Statement;
  readonly #byId: Statement;

  constructor(sql: Sql) {
    const columns = 'f.remote_id AS id, d.remote_id AS parentId, f.remote_name AS name, f.modified';
    const rows = `SELECT ${columns} FROM inode f JOIN inode d ON d.ino = f.parent WHERE f.kind = 0 AND d.kind = 1`;
    this.#inFolder = sql.prepare(`${rows} AND d.remote_id = ? AND f.remote_id >= ? AND f.remote_id < ?`);
    this.#byId = sql.prepare(`${rows} AND f.remote_id = ?`);
  }

  entryOnlyIn(folder: string): RemoteFile[] {
    return (this.#inFolder.all(folder, entryOnlyPrefix, `${entryOnlyPrefix}~`) as Row[]).map(fileOf);
  }

  entryOnly(ref: RemoteRef): RemoteFile | undefined {
    const row = isEntryOnly(ref) ? (this.#byId.get(ref.id) as Row | undefined) : undefined;
    return row === undefined ? undefined : fileOf(row);
  }

  objects(): ReadonlyMap<string, HeldObject> {
    return none;
  }

  drop(): void {}
}

const none: ReadonlyMap<string, HeldObject> = new Map();

function fileOf({ id, parentId, name, modified }: Row): RemoteFile {
  return entryOnlyFile(id, parentId, name, modified ?? 0);
}
