import type { DownloadStatus } from '../../filesystem/inspect/inspection.js';
import type { PinStatus } from '../../filesystem/pins/pins.js';
import type { RetainedVersion } from '../../filesystem/recovery/retained-versions.js';
import type { LimitStatus } from './live-options.js';

/** What `status --json` prints of one mount; the shape is part of the product's contract (docs/status.md). */
export interface MountStatus {
  readonly mountpoint: string;
  readonly account: string;
  readonly provider: string;
  readonly pid: number;
  /** The version of the program that serves the mount; earlier versions did not tell it. */
  readonly version?: string;
  readonly binding: string;
  readonly writeBack: boolean;
  readonly readOnly: boolean;
  /** After `syncmount pause`: no content is sent. Absent otherwise. */
  readonly paused?: true;
  readonly pending: readonly UploadStatus[];
  readonly failed: readonly UploadStatus[];
  /** Contents that stay on this machine because of their names (`--exclude`); absent if there are none. */
  readonly excluded?: readonly UploadStatus[];
  /** The limits in force (`--bwlimit` and the like); absent without any. */
  readonly limits?: LimitStatus;
  /** Files that are being downloaded. */
  readonly downloads: readonly DownloadStatus[];
  /** Bytes of contents since the mount began; a difference of two answers tells the rate. */
  readonly transferred: { readonly sent: number; readonly received: number };
  readonly cache: {
    readonly bytes: number;
    readonly limit: number;
    /** Bytes of pinned contents, on top of `bytes`. */
    readonly pinned: number;
    readonly hits: number;
    readonly misses: number;
    /** Files of earlier mounts are not all counted yet, so `bytes` is a lower limit. Absent once they are. */
    readonly isCounting?: true;
  };
  /** The pinned files on this machine; absent while nothing is pinned. */
  readonly pins?: PinStatus;
  readonly requests: { readonly total: number; readonly byRoute: Readonly<Record<string, number>> };
  /** Since when the service has not answered (ms since 1970), and why. Absent if it answered the last request. */
  readonly outage?: { readonly since: number; readonly error: string };
  readonly rateLimit?: {
    readonly limit: number;
    readonly remaining: number;
    readonly resetAt: number;
    /** The work that was last refused for lack of requests, and why. */
    readonly refused?: string;
  };
  readonly quota?: { readonly total: number; readonly free: number };
  /** Replaced versions of files that stay at a service which does not delete; absent if there are none. */
  readonly kept?: readonly RetainedVersion[];
  /** The metadata that the account does not have yet; absent with `--metadata local`. */
  readonly metadata?: {
    /** Changes. */
    readonly pending: number;
    /** Why the last attempt to write them failed. */
    readonly error?: string;
    /** Machines whose metadata a later version of syncmount wrote. */
    readonly refused?: readonly string[];
  };
  /** The login command, if the provider refuses the credentials. */
  readonly login?: string;
}

/** A content that the provider does not have yet. */
export interface UploadStatus {
  /** Path within the mount, beginning with `/`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes that the provider has accepted. */
  readonly sent: number;
  readonly state: string;
  /** When it began to wait, ms since 1970. */
  readonly since?: number;
  /** For a failed upload: the errno that the program got, and the reason. */
  readonly code?: string;
  readonly error?: string;
}

/** The progress of a drain, as `umount` shows it. */
export interface DrainProgress {
  readonly files: number;
  /** Bytes still to be sent. */
  readonly bytes: number;
  /** Changes of metadata that are being stored. */
  readonly metadata?: number;
  /** Why the service does not answer; absent while it does. */
  readonly outage?: string;
}
