/** What an account of 5sync holds. These records are what the journal keeps. */

export interface FileRecord {
  kind: 'file';
  id: string;
  name: string;
  /** `/` or `/documents`: directories exist only through the files in them. */
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
  /** `e_` and its number in the feed. */
  id: string;
  seq: number;
  file: string;
  /** Where the file was, for the filter. */
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
