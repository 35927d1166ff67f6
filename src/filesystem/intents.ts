/**
 * Namespace changes of several requests, written down before the first, so that the next mount can finish or undo them.
 */
import { codeOf, messageOf } from '../base/errors.js';
import type { RemoteEntry, RemoteFile } from '../providers/provider.js';
import type { Core } from './core.js';

/** A file is to be replaced by another under its name. */
export interface ReplaceIntent {
  /** The file that is to go, as it was. */
  readonly old: RemoteFile;
  readonly parentId: string;
  /** The name in question. */
  readonly name: string;
  /** What the old file is called in between. */
  readonly aside: string;
  /** The file that takes the name. */
  readonly newId: string;
}

export interface Intent {
  readonly id: number;
  readonly replace: ReplaceIntent;
}

export class Intents {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  begin(replace: ReplaceIntent): Intent {
    const { sql } = this.#core.state;
    const { lastInsertRowid } = sql
      .prepare("INSERT INTO intent (kind, data) VALUES ('replace', ?)")
      .run(JSON.stringify(replace));
    return { id: Number(lastInsertRowid), replace };
  }

  end(intent: Intent): void {
    this.#core.state.sql.prepare('DELETE FROM intent WHERE id = ?').run(intent.id);
  }

  /** The replacement failed: the old file gets its name back, if it lost it. The intent stays where that fails too. */
  async undo(intent: Intent): Promise<void> {
    try {
      await this.#settle(intent);
    } catch (error) {
      this.#core.log.warn({ intent: intent.id }, `a rename waits to be undone: ${messageOf(error)}`);
    }
  }

  /** Finishes or undoes what an earlier mount left. One that cannot be settled now is tried at the next mount. */
  async recover(): Promise<void> {
    const rows = this.#core.state.sql.prepare("SELECT id, data FROM intent WHERE kind = 'replace'").all() as {
      id: number;
      data: string;
    }[];
    for (const row of rows) await this.undo({ id: row.id, replace: JSON.parse(row.data) as ReplaceIntent });
  }

  async #settle(intent: Intent): Promise<void> {
    const { provider, directories, table, options } = this.#core;
    const { old, name, parentId, aside, newId } = intent.replace;
    const stepped = await this.#stat(old);
    if (stepped !== null && stepped.name === aside) {
      const successor = await this.#stat({ kind: 'file', id: newId });
      const hasTaken = successor !== null && successor.name === name && successor.parentId === parentId;
      if (!hasTaken) await provider.move(stepped, { parentId, name });
      else if (options.disposal === 'trash' && provider.capabilities.trash) await provider.trash(stepped);
      else await provider.remove(stepped);
    }
    this.end(intent);
    const folder = table.byRemote('folder', parentId);
    if (folder !== undefined) await directories.refresh(folder.ino);
  }

  async #stat(ref: { kind: 'file'; id: string }): Promise<RemoteEntry | null> {
    try {
      return await this.#core.provider.stat({ kind: ref.kind, id: ref.id });
    } catch (error) {
      if (codeOf(error) === 'not-found') return null;
      throw error;
    }
  }
}
