/** The state and services that the routes share. */

import type { BlobStore } from '../content/blobs.js';
import type { Clock } from './clock.js';
import type { Feed } from './feed.js';
import type { Files } from './files.js';
import type { FiveSyncReadings, FiveSyncSettings } from './options.js';
import type { Uploads } from './uploads.js';

export interface World {
  files: Files;
  feed: Feed;
  uploads: Uploads;
  blobs: BlobStore;
  clock: Clock;
  readings: FiveSyncReadings;
  settings: FiveSyncSettings;
}
