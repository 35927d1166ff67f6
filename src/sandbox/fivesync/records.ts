/** The records of a 5sync account, as the journal stores them. */

export interface FileRecord {
  kind: 'file';
  id: string;
  name: string;
  /** `/` or `/documents`. A directory exists only while it contains files. */
  dir: string;
  size: number;
  md5: string;
  blob: string;
  encrypted: boolean;
  versions: number;
  created: number;
  modified: number;
  /** Position in the order of creation. */
  order: number;
}

export interface EventRecord {
  kind: 'event';
  /** `e_` followed by its number in the feed. */
  id: string;
  seq: number;
  file: string;
  /** The file's directory at that time, for the path filter. */
  dir: string;
  action: 'created' | 'modified' | 'deleted';
  at: number;
}

export interface UploadRecord {
  kind: 'upload';
  id: string;
  name: string;
  dir: string;
  size: number;
  parts: number;
  chunk: number;
  blob: string;
  received: number[];
  expires: number;
}

export type Rec = FileRecord | EventRecord | UploadRecord;
