import type { Migration } from '../base/sqlite.js';

/**
 * The state database of one account. `upload` belongs to spool/journal.ts; all tables live in one file so that a stored
 * upload and the inode it changes are one transaction.
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
  // JSON of the MD5s of contents whose upload was begun and not seen to end; NULL: none.
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
  // Which inodes have a capability, and whether any has a label: asked too often to read the whole table.
  `
  CREATE INDEX xattr_capability ON xattr (ino) WHERE name = 'security.capability';
  CREATE INDEX xattr_label      ON xattr (ino) WHERE name = 'security.selinux';
  `,
];
