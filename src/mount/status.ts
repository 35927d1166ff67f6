import type { RetainedVersion } from '../filesystem/recovery/retained-versions.js';

/** What `status --json` prints of one mount; the shape is part of the product's contract (docs/status.md). */
export interface MountStatus {
  readonly mountpoint: string;
  readonly account: string;
  readonly provider: string;
  readonly pid: number;
  readonly binding: string;
  readonly writeBack: boolean;
  readonly readOnly: boolean;
  readonly pending: readonly UploadStatus[];
  readonly failed: readonly UploadStatus[];
  readonly cache: { readonly bytes: number; readonly limit: number; readonly hits: number; readonly misses: number };
  readonly requests: { readonly total: number; readonly byRoute: Readonly<Record<string, number>> };
  readonly rateLimit?: {
    readonly limit: number;
    readonly remaining: number;
    readonly resetAt: number;
    /** What was refused last for want of requests, and why. */
    readonly refused?: string;
  };
  readonly quota?: { readonly total: number; readonly free: number };
  /** Replaced versions of files that stay at a service which does not delete; absent where there are none. */
  readonly kept?: readonly RetainedVersion[];
  /** The command that mends dead credentials, where they are dead. */
  readonly login?: string;
}

/** A content that the provider does not have yet. */
export interface UploadStatus {
  /** Within the mount, beginning with `/`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes that the provider has accepted. */
  readonly sent: number;
  readonly state: string;
  /** The errno that the program was given, and why, of what failed. */
  readonly code?: string;
  readonly error?: string;
}

/** How far a drain is, as `umount` shows it. */
export interface DrainProgress {
  readonly files: number;
  /** Bytes still to be sent. */
  readonly bytes: number;
}
