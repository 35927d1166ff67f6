import type { Migration } from '../base/sqlite.js';

/**
 * The schema of an account's state database. `upload`, `kept` and `dropped` belong to spool/journal.ts, `intent` to the rooms of
 * filesystem/. All tables are in one file, so that one transaction covers a stored upload and the change of its inode.
 */
export const stateMigrations: readonly Migration[] = [
  `
  CREATE TABLE inode (
    ino           INTEGER PRIMARY KEY AUTOINCREMENT,
    parent        INTEGER,
    name          TEXT NOT NULL,
    kind          INTEGER NOT NULL,            -- 0 file, 1 directory
    remote_id     TEXT,
    remote_name   TEXT,
    remote_parent TEXT,
    access        INTEGER NOT NULL DEFAULT 1,  -- 0 read, 1 write
    size          INTEGER,                     -- of the remote revision, bytes
    modified      INTEGER,                     -- of the remote object, ms
    md5           TEXT,
    file_count    INTEGER,
    folder_count  INTEGER,
    listed_at     INTEGER,
    confirmed_at  INTEGER,
    local_size    INTEGER,
    mode          INTEGER,
    uid           INTEGER,
    gid           INTEGER,
    atime_sec     INTEGER, atime_nsec INTEGER,
    mtime_sec     INTEGER, mtime_nsec INTEGER,
    ctime_sec     INTEGER, ctime_nsec INTEGER
  );
  CREATE UNIQUE INDEX inode_name   ON inode (parent, name) WHERE parent IS NOT NULL;
  CREATE UNIQUE INDEX inode_remote ON inode (kind, remote_id) WHERE remote_id IS NOT NULL;

  CREATE TABLE xattr (
    ino   INTEGER NOT NULL,
    name  TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (ino, name)
  ) WITHOUT ROWID;

  CREATE TABLE upload (
    ino        INTEGER PRIMARY KEY,
    spool      TEXT NOT NULL,                  -- file name in the spool directory
    state      TEXT NOT NULL,
    size       INTEGER NOT NULL,
    base       TEXT,                           -- JSON of the remote file that the content started from
    extents    TEXT,                           -- JSON of the ranges present in the spool; NULL: all
    checkpoint TEXT,                           -- JSON of the provider
    code       TEXT,                           -- why it failed
    message    TEXT,
    since      INTEGER NOT NULL                -- ms
  );

  CREATE TABLE intent (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    kind  TEXT NOT NULL,
    data  TEXT NOT NULL                        -- JSON
  );
  `,
  `
  CREATE TABLE memory (                        -- what the provider said last
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL                        -- JSON
  ) WITHOUT ROWID;
  `,
  // JSON of the MD5s of contents whose upload has begun and was not confirmed; NULL: none.
  'ALTER TABLE upload ADD COLUMN attempts TEXT;',
  `
  CREATE TABLE kept (                          -- small contents that a close or fsync was promised
    ino   INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL,
    boot  TEXT                                 -- id of the boot in which the spool file had the same; NULL: unknown
  );
  `,
  `
  CREATE TABLE dropped (                       -- spool files that are on their way out: nobody wants what is in them
    spool TEXT PRIMARY KEY
  ) WITHOUT ROWID;
  `,
  // More kinds: 2 symbolic link, 3 FIFO, 4 socket, 5 character device, 6 block device.
  `
  ALTER TABLE inode ADD COLUMN target BLOB;                     -- of a symbolic link
  ALTER TABLE inode ADD COLUMN rdev INTEGER NOT NULL DEFAULT 0; -- of a device, as Linux encodes it
  CREATE INDEX inode_directory ON inode (parent) WHERE kind = 1;
  `,
  // The inodes that have a capability or a label: looked up too often to read the whole table.
  `
  CREATE INDEX xattr_capability ON xattr (ino) WHERE name = 'security.capability';
  CREATE INDEX xattr_label      ON xattr (ino) WHERE name = 'security.selinux';
  `,
  `
  -- metadata/: what the service cannot hold, as this machine and others know it. A body is the JSON line of the entry.
  CREATE TABLE metadata_own (
    folder  TEXT NOT NULL,
    name    TEXT NOT NULL,
    id      TEXT,                              -- the service's id of the object
    pack    INTEGER,                           -- NULL: not planned yet
    wall    INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (folder, name)
  ) WITHOUT ROWID;
  CREATE INDEX metadata_own_by_pack ON metadata_own (pack, folder);
  CREATE INDEX metadata_own_by_id ON metadata_own (id) WHERE id IS NOT NULL;

  CREATE TABLE metadata_own_pack (
    pack    INTEGER PRIMARY KEY,
    changes INTEGER NOT NULL DEFAULT 0,        -- that are not at the service yet
    entries INTEGER NOT NULL DEFAULT 0,
    bytes   INTEGER NOT NULL DEFAULT 0,        -- of its lines
    file    TEXT,                              -- JSON of the remote file; NULL: not there
    sent    TEXT                               -- JSON: sizes and md5s of uploads whose end was not seen
  );

  CREATE TABLE metadata_own_folder (           -- the packs with entries of a folder
    folder TEXT NOT NULL,
    pack   INTEGER NOT NULL,
    PRIMARY KEY (folder, pack)
  ) WITHOUT ROWID;

  CREATE TABLE metadata_other (
    machine TEXT NOT NULL,
    folder  TEXT NOT NULL,
    name    TEXT NOT NULL,
    id      TEXT,
    pack    INTEGER NOT NULL,
    wall    INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (machine, folder, name)
  ) WITHOUT ROWID;
  CREATE INDEX metadata_other_by_folder ON metadata_other (folder);
  CREATE INDEX metadata_other_by_pack ON metadata_other (machine, pack);
  CREATE INDEX metadata_other_by_id ON metadata_other (id) WHERE id IS NOT NULL;

  CREATE TABLE metadata_other_pack (
    machine TEXT NOT NULL,
    pack    INTEGER NOT NULL,
    file    TEXT NOT NULL,                     -- JSON of the remote file as it is now
    loaded  TEXT,                              -- the revision whose entries are in metadata_other
    PRIMARY KEY (machine, pack)
  ) WITHOUT ROWID;

  CREATE TABLE metadata_other_folder (         -- by the indexes of the other machines
    folder  TEXT NOT NULL,
    machine TEXT NOT NULL,
    pack    INTEGER NOT NULL,
    PRIMARY KEY (folder, machine, pack)
  ) WITHOUT ROWID;

  CREATE TABLE metadata_row (                  -- what an inode shows, and where this machine's entry of it lies
    ino     INTEGER PRIMARY KEY,
    folder  TEXT,                              -- NULL: this machine has none
    name    TEXT,
    wall    INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    machine TEXT NOT NULL
  );
  `,
  `
  CREATE TABLE link (                          -- further names of inodes: hard links
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    parent INTEGER NOT NULL,
    name   TEXT NOT NULL,
    ino    INTEGER NOT NULL
  );
  CREATE UNIQUE INDEX link_name ON link (parent, name);
  CREATE INDEX link_inode ON link (ino, parent);
  ALTER TABLE inode ADD COLUMN further_names INTEGER NOT NULL DEFAULT 0; -- how many of them an inode has
  `,
  `
  CREATE TABLE metadata_retracted (            -- entries that were in a machine's files, and are not any more
    machine TEXT NOT NULL,
    folder  TEXT NOT NULL,
    name    TEXT NOT NULL,
    wall    INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    PRIMARY KEY (folder, machine, name)
  ) WITHOUT ROWID;
  -- Removals.
  CREATE INDEX metadata_own_gone ON metadata_own (folder, name) WHERE json_extract(body, '$.gone') = 1;
  CREATE INDEX metadata_other_gone ON metadata_other (folder, name) WHERE json_extract(body, '$.gone') = 1;
  `,
  `
  -- filesystem/trash/: what this machine knows of the service's trash.
  CREATE TABLE trash (
    kind  TEXT NOT NULL,
    id    TEXT NOT NULL,
    name  TEXT NOT NULL,                       -- in files/
    path  TEXT,                                -- JSON of the names from the account's root to its old place; NULL: unknown
    since INTEGER NOT NULL,                    -- when it was removed here, or first seen there; ms
    ino   INTEGER,                             -- the row that keeps its attributes, and those of what is in it
    entry TEXT NOT NULL,                       -- JSON of the remote object
    PRIMARY KEY (kind, id)
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX trash_name ON trash (name);
  CREATE TABLE trash_note (                    -- small files that programs write into the trash directory
    folder  TEXT NOT NULL,                     -- 'info' or 'top'
    name    TEXT NOT NULL,
    content BLOB NOT NULL,
    since   INTEGER NOT NULL,                  -- ms
    PRIMARY KEY (folder, name)
  ) WITHOUT ROWID;
  `,
  `
  -- A program has set its times; of rows from before it is not known.
  ALTER TABLE metadata_row ADD COLUMN times_set INTEGER NOT NULL DEFAULT 1;
  `,
  `
  CREATE TABLE pin (                           -- files and folders that are kept on this machine
    ino   INTEGER PRIMARY KEY,
    since INTEGER NOT NULL                     -- ms
  );
  `,
  `
  -- What the start of a mount looks for: with these it need not read a million rows.
  CREATE INDEX inode_nameless ON inode (remote_parent) WHERE parent IS NULL;
  CREATE INDEX inode_unstored ON inode (ino) WHERE kind = 0 AND remote_id IS NULL;
  `,
  `
  -- An entry is looked up by its name: without it, each of a folder cost a look at all of them.
  DROP INDEX metadata_other_by_folder;
  CREATE INDEX metadata_other_by_name ON metadata_other (folder, name);
  `,
  `
  -- What one pack holds lies together in the table and in its indexes: one by all ids would be changed all over with each pack.
  CREATE TABLE metadata_another (
    folder    TEXT NOT NULL,
    name      TEXT NOT NULL,
    machine   TEXT NOT NULL,
    id        TEXT,
    pack      INTEGER NOT NULL,
    wall      INTEGER NOT NULL,
    counter   INTEGER NOT NULL,
    gone      INTEGER NOT NULL,                -- 1: a removal
    by_object INTEGER NOT NULL,                -- 1: looked up by the object alone, and often (isSoughtByObject)
    body      TEXT NOT NULL,
    UNIQUE (folder, name, machine)             -- rows have numbers: they are too long for a table that lies in this order
  );
  INSERT INTO metadata_another (folder, name, machine, id, pack, wall, counter, gone, by_object, body)
    SELECT folder, name, machine, id, pack, wall, counter, json_extract(body, '$.gone') IS 1,
      id IS NOT NULL AND (substr(id, 1, 6) = 'empty:' OR json_extract(body, '$.alias') IS 1 OR json_type(body, '$.names') IS NOT NULL), body
    FROM metadata_other ORDER BY folder, name, machine;
  DROP TABLE metadata_other;
  ALTER TABLE metadata_another RENAME TO metadata_other;
  CREATE INDEX metadata_other_by_pack ON metadata_other (machine, pack, id);
  CREATE INDEX metadata_other_by_object ON metadata_other (id) WHERE by_object = 1;
  CREATE INDEX metadata_other_gone ON metadata_other (folder, name) WHERE gone = 1;
  `,
  `
  -- Contents on their way into the root that belong elsewhere (metadata/held/begun-uploads.ts): the service may have one of them.
  CREATE TABLE held_upload (
    name  TEXT PRIMARY KEY,                    -- in the root
    place TEXT NOT NULL                        -- JSON: the folder and the name there
  ) WITHOUT ROWID;
  `,
];
