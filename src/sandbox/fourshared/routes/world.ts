/** The state and services that the routes share. */

import type { BlobStore } from '../../content/blobs.js';
import type { Entities } from '../entities.js';
import type { Readings, Settings } from '../options.js';
import type { Account } from '../state/account.js';
import type { Actions } from '../state/actions.js';
import type { Rules } from '../state/rules.js';
import type { Uploads } from '../state/uploads.js';

export interface World {
  account: Account;
  rules: Rules;
  actions: Actions;
  uploads: Uploads;
  blobs: BlobStore;
  entities: Entities;
  readings: Readings;
  settings: Settings;
}
