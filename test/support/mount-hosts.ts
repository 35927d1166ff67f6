/** For the files that mount: processes that mount again and again, up to the end of the file. */
import { afterAll } from 'vitest';
import { endMountHosts, MountHost } from '../mount/mount-host.js';

MountHost.isOffered = true;
afterAll(endMountHosts);
